#!/usr/bin/env bash
# Formats every C++ file of ours in place, or only tells which ones differ.
#
#   scripts/format.sh          format
#   scripts/format.sh --check  exit 1 when a file is not formatted
set -euo pipefail
cd "$(dirname "$0")/.."

# Other versions break lines in other places.
tool=clang-format-19
command -v $tool >/dev/null || { echo "format: $tool is missing: apt-get install $tool" >&2; exit 1; }
mapfile -t files < <(git ls-files --cached --others --exclude-standard '*.cpp' '*.hpp')
case ${1:-} in
  '') $tool -i "${files[@]}" ;;
  --check) $tool --dry-run --Werror "${files[@]}" ;;
  *) echo "format.sh: unknown argument '$1'; known: --check" >&2; exit 2 ;;
esac
