#include <map>

#include "command_table.hpp"
#include "repsim/base/text.hpp"

namespace repsim::cli {
namespace {

using Kind = ValueHint::Kind;

constexpr const char* kZshHead = R"zsh(#compdef repsim
# Completion of repsim for zsh, written by repsim completion zsh. Keep it as _repsim in a folder of $fpath.

# Names of the models that the line, or the config on it, names.
_repsim_models_named() {
  local i flag= word
  for ((i = 2; i < $#_repsim_line; i++)); do
    word=${(Q)_repsim_line[i]}
    case $flag in
      --config) $_repsim_line[1] completion --models ${word/#\~/$HOME} 2>/dev/null ;;
      --model) print -r -- ${word%%=*} ;;
      *) [[ $word == *.pt && $word != -* ]] && print -r -- ${word:t:r} ;;
    esac
    case $word in
      --config=*) $_repsim_line[1] completion --models ${${word#*=}/#\~/$HOME} 2>/dev/null ;;
      --model=*) print -r -- ${${word#*=}%%=*} ;;
    esac
    flag=
    [[ $word == (--config|--model) ]] && flag=$word
  done
}

_repsim_models() {
  local -aU models=(${(f)"$(_repsim_models_named)"})
  _wanted models expl model compadd -a models
}

# NAME=, behind it a file where $1 is file, else one of the words; the words alone where $1 is optional.
_repsim_named() {
  local need=$1
  local -a words_behind=(${@[2,-1]})
  if compset -P '*='; then
    if [[ $need == file ]]; then _files; else _wanted values expl value compadd -a words_behind; fi
    return
  fi
  local -aU models=(${(f)"$(_repsim_models_named)"})
  [[ $need == optional && $#words_behind -gt 0 ]] && _wanted values expl value compadd -a words_behind
  _wanted models expl model compadd -S = -a models
}

_repsim_assignments() {
  local -a settings=($@)
  _wanted settings expl setting compadd -S '' -a settings
}

_repsim_directions() {
  local -aU models=(${(f)"$(_repsim_models_named)"})
  local -a directions
  local a b
  for a in $models; do for b in $models; do [[ $a != $b ]] && directions+=("$a<-$b"); done; done
  _wanted directions expl direction compadd -a directions
}
)zsh";

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      if (c == '[' || c == ']' || c == ':' || c == '\\') result += '\\';
      result += c;
    }
  }
  return result;
}

std::string words_of(const ValueHint& hint) { return join(hint.words, " "); }

/// What _arguments does for a value.
std::string action(const ValueHint& hint) {
  switch (hint.kind) {
    case Kind::kNone:
      return " ";
    case Kind::kFile:
      return "_files";
    case Kind::kDirectory:
      return "_files -/";
    case Kind::kWords:
      if (!hint.words.empty() && hint.words.front().ends_with("=")) return "_repsim_assignments " + words_of(hint);
      return "(" + words_of(hint) + ")";
    case Kind::kModel:
      return "_repsim_models";
    case Kind::kDirection:
      return "_repsim_directions";
    case Kind::kModelEquals:
      break;
  }
  const std::string need = hint.is_file_behind ? "file" : hint.is_name_optional ? "optional" : "required";
  return "_repsim_named " + need + " " + words_of(hint);
}

/// '(-q --quiet)'{-q,--quiet}'[help]', or '*--set=[help]:KEY=VALUE:action'
std::string flag_spec(const FlagEntry& flag) {
  const std::string value = flag.value_name.empty() ? "" : ":" + escaped(flag.value_name) + ":" + action(flag.value);
  const std::string rest = "[" + escaped(flag.help) + "]" + value + "'";
  const std::string equals = flag.value_name.empty() ? "" : "=";
  if (flag.names.size() == 1) return "'" + std::string(flag.is_repeatable ? "*" : "") + flag.names[0] + equals + rest;
  return "'(" + join(flag.names, " ") + ")'{" + join(flag.names, ",") + "}'" + rest;
}

std::string arguments_of(const CommandEntry& command) {
  std::string text;
  for (const FlagEntry& flag : command.flags) text += " \\\n        " + flag_spec(flag);
  for (std::size_t i = 0; i < command.arguments.size(); ++i) {
    const bool repeats = command.last_repeats && i + 1 == command.arguments.size();
    text +=
        " \\\n        '" + (repeats ? "*" : std::to_string(i + 1)) + ":argument:" + action(command.arguments[i]) + "'";
  }
  return text;
}

}  // namespace

std::string zsh_completion(const std::vector<CommandEntry>& table) {
  std::string described, cases;
  for (std::size_t i = 1; i < table.size(); ++i) {
    described += "        '" + table[i].name + ":" + escaped(table[i].help) + "'\n";
    cases += "        " + table[i].name + ") _arguments -S" + arguments_of(table[i]) + " ;;\n";
  }
  return kZshHead + std::string(R"zsh(
_repsim() {
  local curcontext=$curcontext state line expl
  local -a _repsim_line=("${(@)words[1,CURRENT]}")
  _repsim_line[1]=${(Q)_repsim_line[1]/#\~/$HOME}
  typeset -A opt_args
  _arguments -C)zsh") +
         arguments_of(table.front()) + R"zsh( \
        '1:subcommand:->subcommand' '*::argument:->arguments'
  case $state in
    subcommand)
      local -a subcommands=(
)zsh" + described +
         R"zsh(      )
      _describe -t subcommands subcommand subcommands ;;
    arguments)
      case $words[1] in
)zsh" + cases +
         R"zsh(      esac ;;
  esac
}

if [[ $funcstack[1] == _repsim ]]; then _repsim "$@"; else compdef _repsim repsim; fi
)zsh";
}

}  // namespace repsim::cli
