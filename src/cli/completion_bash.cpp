#include <map>

#include "command_table.hpp"
#include "repsim/base/text.hpp"

namespace repsim::cli {
namespace {

using Kind = ValueHint::Kind;

// Readline splits words at '=', ':' and '<'. The script puts them together again, and takes off its answers what
// readline keeps.
constexpr const char* kBashHead = R"bash(# Completion of repsim for bash, written by repsim completion bash:
#   source <(repsim completion bash)

# The words of the line up to the cursor, in _repsim_words.
_repsim_split() {
  local line=${COMP_LINE:0:COMP_POINT} i word space
  _repsim_words=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    space=${line%%[![:space:]]*}
    line=${line#"$space"}
    word=${COMP_WORDS[i]}
    ((i == COMP_CWORD)) && word=$line
    if [[ $i -gt 0 && ! $space ]]; then
      _repsim_words[${#_repsim_words[@]} - 1]+=$word
    else
      _repsim_words+=("$word")
    fi
    line=${line#"$word"}
  done
}

# Names of the models that the line, or the config on it, names.
_repsim_models() {
  local i word value flag=
  for ((i = 1; i < ${#_repsim_words[@]} - 1; i++)); do
    word=${_repsim_words[i]} value=$word
    if [[ ! $flag && $word == --*=* ]]; then
      flag=${word%%=*} value=${word#*=}
    elif [[ ! $flag ]] && _repsim_takes_value "$command $word"; then
      flag=$word
      continue
    fi
    case $flag in
      --config) "${COMP_WORDS[0]/#\~/$HOME}" completion --models "${value/#\~/$HOME}" 2>/dev/null ;;
      --model) printf '%s\n' "${value%%=*}" ;;
      '') if [[ $value == *.pt ]]; then value=${value##*/} && printf '%s\n' "${value%.pt}"; fi ;;
    esac
    flag=
  done | sort -u
}

# Offers the lines of stdin that begin with the word $1. A quote that is open is no part of it.
_repsim_offer() {
  local current=${1#[\'\"]} kept= candidate assigns=yes
  [[ $current == "$1" && $current == *[=:\<]* ]] && kept=${current%"${current##*[=:<]}"}
  while IFS= read -r candidate; do
    [[ $candidate == "$current"* ]] || continue
    COMPREPLY+=("${candidate#"$kept"}")
    [[ $candidate == *= ]] || assigns=
  done
  [[ $assigns ]] && compopt -o nospace 2>/dev/null
  return 0
}

# Offers files (-f) or folders (-d); readline itself those that begin with a tilde.
_repsim_files() {
  local name
  compopt -o filenames -o default 2>/dev/null
  while IFS= read -r name; do COMPREPLY+=("$name"); done < <(compgen "$2" -- "${1#[\'\"]}")
}

# NAME= of each model, behind it one of the words; the words alone where $2 is optional.
_repsim_named() {
  local current=${1#[\'\"]} need=$2 model
  shift 2
  if [[ $current == *=* ]]; then
    (($#)) && printf '%s\n' "${@/#/${current%%=*}=}"
    return
  fi
  [[ $need == optional ]] && (($#)) && printf '%s\n' "$@"
  while IFS= read -r model; do printf '%s=\n' "$model"; done < <(_repsim_models)
}

_repsim_directions() {
  local models=() a b
  while IFS= read -r a; do models+=("$a"); done < <(_repsim_models)
  for a in "${models[@]}"; do
    for b in "${models[@]}"; do
      [[ $a != "$b" ]] && printf '%s\n' "$a<-$b"
    done
  done
}
)bash";

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string list_of(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += " " + quoted(word);
  return text;
}

/// What the script does for a value whose beginning is $current.
std::string action(const ValueHint& hint) {
  const auto offer = [](const std::string& command) { return "_repsim_offer \"$current\" < <(" + command + ")"; };
  switch (hint.kind) {
    case Kind::kNone:
      return ":";
    case Kind::kFile:
      return "_repsim_files \"$current\" -f";
    case Kind::kDirectory:
      return "_repsim_files \"$current\" -d";
    case Kind::kWords:
      return offer("printf '%s\\n'" + list_of(hint.words));
    case Kind::kModel:
      return offer("_repsim_models");
    case Kind::kDirection:
      return offer("_repsim_directions");
    case Kind::kModelEquals:
      break;
  }
  std::string named = offer("_repsim_named \"$current\" " +
                            std::string(hint.is_name_optional ? "optional" : "required") + list_of(hint.words));
  if (!hint.is_file_behind) return named;
  return "if [[ $current == *=* ]]; then _repsim_files \"${current#*=}\" -f; else " + named + "; fi";
}

std::string flags_of(const CommandEntry& command) {
  std::vector<std::string> names;
  for (const FlagEntry& flag : command.flags) names.insert(names.end(), flag.names.begin(), flag.names.end());
  return join(names, " ");
}

/// What the script does for a value -> the patterns of commands and flags that take such a value.
std::map<std::string, std::vector<std::string>> value_patterns(const std::vector<CommandEntry>& table) {
  std::map<std::string, std::vector<std::string>> patterns;
  for (const CommandEntry& command : table) {
    for (const FlagEntry& flag : command.flags) {
      if (flag.value_name.empty()) continue;
      for (const std::string& name : flag.names)
        patterns[action(flag.value)].push_back(quoted(command.name + " " + name));
    }
  }
  return patterns;
}

std::string value_cases(const std::vector<CommandEntry>& table) {
  std::string text;
  for (const auto& [what, all] : value_patterns(table)) text += "      " + join(all, " | ") + ") " + what + " ;;\n";
  return text;
}

std::string takes_value(const std::vector<CommandEntry>& table) {
  std::vector<std::string> all;
  for (const auto& [what, patterns] : value_patterns(table)) all.insert(all.end(), patterns.begin(), patterns.end());
  return "\n_repsim_takes_value() {\n  case $1 in\n    " + join(all, " | ") + ") return 0 ;;\n  esac\n  return 1\n}\n";
}

std::string command_cases(const std::vector<CommandEntry>& table) {
  std::string text;
  for (const CommandEntry& command : table) {
    text += "      " + command.name + ") flags=" + quoted(flags_of(command)) + " ;;\n";
  }
  return text;
}

std::string argument_cases(const std::vector<CommandEntry>& table) {
  std::string text;
  for (std::size_t i = 1; i < table.size(); ++i) {
    for (std::size_t k = 0; k < table[i].arguments.size(); ++k) {
      const bool repeats = table[i].last_repeats && k + 1 == table[i].arguments.size();
      text += "      '" + table[i].name + " '" + (repeats ? "*" : "'" + std::to_string(k) + "'") + ") " +
              action(table[i].arguments[k]) + " ;;\n";
    }
  }
  return text;
}

}  // namespace

std::string bash_completion(const std::vector<CommandEntry>& table) {
  std::vector<std::string> commands;
  for (std::size_t i = 1; i < table.size(); ++i) commands.push_back(table[i].name);
  return kBashHead + takes_value(table) + R"bash(
_repsim() {
  local _repsim_words current command=repsim flags= flag= i word count=0 commands=)bash" +
         quoted(join(commands, " ")) + R"bash(
  COMPREPLY=()
  _repsim_split
  current=${_repsim_words[${#_repsim_words[@]} - 1]}
  for ((i = 1; i < ${#_repsim_words[@]} - 1; i++)); do
    word=${_repsim_words[i]}
    if [[ $flag ]]; then
      flag=
    elif _repsim_takes_value "$command $word"; then
      flag=$word
    elif [[ $command == repsim && " $commands " == *" $word "* ]]; then
      command=$word
    elif [[ $word != -* ]]; then
      ((count++))
    fi
  done
  if [[ ! $flag && $current == --*=* ]]; then
    flag=${current%%=*} current=${current#*=}
  fi
  if [[ $flag ]]; then
    case "$command $flag" in
)bash" + value_cases(table) +
         R"bash(    esac
  elif [[ $current == -* ]]; then
    case $command in
)bash" + command_cases(table) +
         R"bash(    esac
    _repsim_offer "$current" < <(printf '%s\n' $flags)
  elif [[ $command == repsim ]]; then
    _repsim_offer "$current" < <(printf '%s\n' $commands)
  else
    case "$command $count" in
)bash" + argument_cases(table) +
         R"bash(    esac
  fi
}

complete -F _repsim repsim
)bash";
}

}  // namespace repsim::cli
