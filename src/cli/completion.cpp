#include <memory>

#include "command_line.hpp"
#include "command_table.hpp"
#include "commands.hpp"
#include "common_flags.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/config.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kCompletionFooter = R"(Examples:
  source <(repsim completion bash)                                    in ~/.bashrc
  repsim completion zsh > "${fpath[1]}/_repsim"                       before compinit runs
  repsim completion fish > ~/.config/fish/completions/repsim.fish

Completes subcommands, flags, their words, files, and names of models: of those on the command line,
and of the config that --config names there. Packages of repsim install all three (docs/install.md).
Exit codes: 0 done, 2 usage, 3 the config of --models cannot be read, 1 anything else.)";

struct Shell {
  const char* name;
  std::string (*script)(const std::vector<CommandEntry>&);
};
constexpr std::array kShells{Shell{"bash", bash_completion}, Shell{"zsh", zsh_completion},
                             Shell{"fish", fish_completion}};

struct CompletionFlags {
  std::string shell;
  std::optional<std::string> models;
};

void run_completion(const CompletionFlags& flags) {
  if (flags.models) {
    std::string names;
    for (const model::ModelSpec& spec : config::read_config(*flags.models).models) names += spec.name + "\n";
    return print_result(names);
  }
  std::vector<std::string> known;
  for (const Shell& shell : kShells) {
    known.emplace_back(shell.name);
    if (flags.shell == shell.name) {
      const CommandLine line;
      return print_result(shell.script(command_table(line.app)));
    }
  }
  if (flags.shell.empty())
    throw Error(ErrorKind::kUsage, "no shell is given", "repsim completion", "repsim completion bash, zsh or fish");
  throw Error(ErrorKind::kUsage, "there is no completion for '" + flags.shell + "'", "repsim completion",
              did_you_mean(flags.shell, known));
}

}  // namespace

Job setup_completion(CLI::App& app) {
  auto flags = std::make_shared<CompletionFlags>();
  app.footer(kCompletionFooter);
  app.add_option("SHELL", flags->shell, "bash, zsh or fish")->type_name("bash|zsh|fish");
  add_text(app, "--models", "FILE", flags->models, "Print the names of the models of this config instead, one a line")
      ->group("Output");
  return [flags](Progress&) { run_completion(*flags); };
}

}  // namespace repsim::cli
