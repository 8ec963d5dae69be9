#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

/// The command line as plain data, for completions of shells.
namespace repsim::cli {

/// What may stand for a value.
struct ValueHint {
  enum class Kind {
    kNone,  ///< numbers and other free text
    kFile,  ///< also a folder
    kDirectory,
    kWords,
    kModel,        ///< the name of a model of this command line
    kModelEquals,  ///< NAME=, then free text, a file or one of the words
    kDirection,    ///< RECEIVER<-DONOR, both models
  };
  Kind kind = Kind::kNone;
  std::vector<std::string> words;  ///< of kWords and kModelEquals
  bool is_file_behind = false;     ///< of kModelEquals: what follows is a file
  bool is_name_optional = false;   ///< of kModelEquals: the words may stand alone, too
};

struct FlagEntry {
  std::vector<std::string> names;  ///< "-q", "--quiet"
  std::string help;                ///< one line
  std::string value_name;          ///< empty: the flag takes no value
  ValueHint value;
  bool is_repeatable = false;
};

struct CommandEntry {
  std::string name, help;        ///< the name of the program itself is "repsim"
  std::vector<FlagEntry> flags;  ///< without hidden ones
  std::vector<ValueHint> arguments;
  bool last_repeats = false;  ///< any number of the last argument
};

/// The program itself, then its subcommands.
[[nodiscard]] std::vector<CommandEntry> command_table(const CLI::App& app);

/// Scripts for shells. Each defines what completes `repsim`.
[[nodiscard]] std::string bash_completion(const std::vector<CommandEntry>& table);
[[nodiscard]] std::string zsh_completion(const std::vector<CommandEntry>& table);
[[nodiscard]] std::string fish_completion(const std::vector<CommandEntry>& table);

}  // namespace repsim::cli
