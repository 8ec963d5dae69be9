#include "command_table.hpp"
#include "repsim/base/text.hpp"

namespace repsim::cli {
namespace {

using Kind = ValueHint::Kind;

constexpr const char* kFishHead =
    R"fish(# Completion of repsim for fish, written by repsim completion fish. Keep it as repsim.fish in a folder of
# $fish_complete_path, or: repsim completion fish | source

# Whether the line has this subcommand; "" is none.
function __repsim_is
    set -l found
    for word in (commandline -opc)[2..-1]
        if contains -- $word $__repsim_commands
            set found $word
            break
        end
    end
    test "$found" = "$argv[1]"
end

# Names of the models that the line, or the config on it, names.
function __repsim_models
    set -l words (commandline -opc)
    set -l flag
    for word in $words[2..-1]
        set -l value $word
        if test -z "$flag"; and string match -q -- '--*=*' $word
            set flag (string split -m 1 = -- $word)[1]
            set value (string split -m 1 = -- $word)[2]
        else if test -z "$flag"; and contains -- $word --config --model
            set flag $word
            continue
        end
        switch "$flag"
            case --config
                eval $words[1] completion --models (string escape -- $value) 2>/dev/null
            case --model
                string split -m 1 = -- $value | head -n 1
            case ''
                if string match -q -- '*.pt' $value
                    string replace -r '.*/' '' -- $value | string replace -r '\.pt$' ''
                end
        end
        set flag
    end | sort -u
end

# NAME= of each model, behind it one of the words.
function __repsim_named
    for model in (__repsim_models)
        echo $model=
        for word in $argv
            echo $model=$word
        end
    end
end

function __repsim_named_files
    for model in (__repsim_models)
        echo $model=
    end
    set -l current (commandline -ct)
    if string match -q -- '*=*' $current
        set -l name (string split -m 1 = -- $current)[1]
        for file in (__fish_complete_path (string split -m 1 = -- $current)[2])
            echo $name=$file
        end
    end
end

function __repsim_directions
    set -l models (__repsim_models)
    for a in $models
        for b in $models
            test $a != $b; and echo "$a<-$b"
        end
    end
end

)fish";

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

/// The options of `complete` for a value.
std::string value_options(const ValueHint& hint) {
  switch (hint.kind) {
    case Kind::kNone:
      return " -x";
    case Kind::kFile:
      return " -r -F";
    case Kind::kDirectory:
      return " -x -a '(__fish_complete_directories)'";
    case Kind::kWords:
      return " -x -a " + quoted(join(hint.words, " "));
    case Kind::kModel:
      return " -x -a '(__repsim_models)'";
    case Kind::kDirection:
      return " -x -a '(__repsim_directions)'";
    case Kind::kModelEquals:
      break;
  }
  if (hint.is_file_behind) return " -x -a '(__repsim_named_files)'";
  const std::string words = join(hint.words, " ");
  return " -x -a " + quoted((hint.is_name_optional ? words + " " : "") + "(__repsim_named " + words + ")");
}

std::string flag_lines(const std::string& condition, const CommandEntry& command) {
  std::string text;
  for (const FlagEntry& flag : command.flags) {
    text += "complete -c repsim" + condition;
    for (const std::string& name : flag.names)
      text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    if (!flag.value_name.empty()) text += value_options(flag.value);
    text += " -d " + quoted(flag.help) + "\n";
  }
  return text;
}

}  // namespace

std::string fish_completion(const std::vector<CommandEntry>& table) {
  std::string names, text;
  for (std::size_t i = 1; i < table.size(); ++i) names += (i == 1 ? "" : " ") + table[i].name;
  text += "set -g __repsim_commands " + names + "\n\ncomplete -c repsim -f\n";
  const std::string none = " -n '__repsim_is \"\"'";
  text += flag_lines(none, table.front());
  for (std::size_t i = 1; i < table.size(); ++i) {
    text += "complete -c repsim" + none + " -a " + table[i].name + " -d " + quoted(table[i].help) + "\n";
    const std::string here = " -n '__repsim_is " + table[i].name + "'";
    for (const ValueHint& hint : table[i].arguments) {
      if (hint.kind == Kind::kFile) text += "complete -c repsim" + here + " -F\n";
      if (hint.kind == Kind::kWords)
        text += "complete -c repsim" + here + " -a " + quoted(join(hint.words, " ")) + "\n";
    }
    text += flag_lines(here, table[i]);
  }
  return kFishHead + text;
}

}  // namespace repsim::cli
