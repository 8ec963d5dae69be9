#include "command_line.hpp"

#include "help.hpp"
#include "repsim/base/version.hpp"
#include "repsim/torch_info.hpp"

namespace repsim::cli {
namespace {

constexpr const char* kFooter = R"(Example:
  repsim plan a.pt b.pt --input 320x240 --video street.mp4 --out plan

Results go to stdout, everything else to stderr. Exit codes:
    0  done
    1  anything that is not below: please report it
    2  usage: the command line is wrong
    3  bad input: a model, video, config or path cannot be used, or memory, disk or a limit is used up
    4  nothing can be shared at the asked fidelity (the plan is written, with no shares), or a bundle
       that was written again keeps it no more (it is written all the same)
    5  drift: a bundle no longer keeps what its plan says, or a plan is not what its inputs give now
  130  interrupted: Ctrl-C, SIGTERM, SIGHUP, or the limit on CPU time)";

std::string versions() {
  return "repsim " + tool_version() + "\nLibTorch " + session::torch_version() + " (" + session::torch_devices() + ")";
}

/// --man, which --help does not show: the packages' man pages come from it.
void add_man(CLI::App& app) {
  app.add_flag_callback("--man", [&app] { throw CLI::CallForVersion(man_page(app), 0); })->group("");
}

}  // namespace

CommandLine::CommandLine()
    : app("repsim: share layers between detection models by representation similarity", "repsim") {
  app.formatter_fn(help_text);
  app.footer(kFooter);
  app.allow_extras();            // ours to complain about: check_leftovers
  app.require_subcommand(0, 1);  // `repsim verify plan`: after one subcommand the name of another is an argument
  app.set_version_flag("--version", versions, "Print the versions of repsim and of its LibTorch")->group(kCommonGroup);
  add_common_flags(app, flags);
  add_man(app);
  for (const Command& command : kCommands) {
    CLI::App* sub = app.add_subcommand(command.name, command.help);
    sub->allow_extras();
    jobs.emplace_back(sub, command.setup(*sub));
    add_common_flags(*sub, flags);
    add_man(*sub);
  }
}

}  // namespace repsim::cli
