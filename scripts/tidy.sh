#!/usr/bin/env bash
# Runs clang-tidy over the library, the program and the tests.
#
#   scripts/tidy.sh [NAME ...]    units with a file whose path below src or tests contains one of the names; default: all
#
# A unit holds several files: most of clang-tidy's time goes into headers. Newer versions look at the headers
# of others far less often, so the version is that of the Python package below. Needs clang++-19 (Debian package clang-19).
# Exit code: 1 if something is found, 2 for a name that no unit has, 77 where the compiler is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

package=clang-tidy==23.1.4
command -v clang++-19 >/dev/null || { echo "tidy: clang++-19 is missing: apt-get install clang-19"; exit 77; }
[ -x .venv/bin/python ] || { echo "tidy: .venv is missing: scripts/setup.sh"; exit 77; }
.venv/bin/pip install --quiet --disable-pip-version-check $package

cmake --preset tidy >/dev/null
build=build/tidy
mapfile -t units < <(python3 - $build/compile_commands.json "$@" <<'PYTHON'
import json, os, re, sys
paths = sorted({entry["file"] for entry in json.load(open(sys.argv[1])) if entry["file"].endswith((".cpp", ".cxx"))})
paths = [path for path in paths if not path.endswith("embedded_templates.cpp")]  # made by the build
root, names = os.getcwd() + "/", sys.argv[2:]
def files_of(path):
    included = re.findall(r'^#include "(.*)"', open(path).read(), re.MULTILINE) if "/Unity/" in path else [path]
    return [one.removeprefix(root) for one in included]
print(*(path for path in paths if not names or any(name in one for one in files_of(path) for name in names)), sep="\n")
PYTHON
)
[ -n "${units[0]:-}" ] || { echo "tidy: no unit has a name of: $*"; exit 2; }

# Each process writes all it found at once, so that findings of two units do not mix.
check() {
  local found
  found=$(.venv/bin/clang-tidy --quiet -p build/tidy "$1" 2>/dev/null) && return
  printf '%s\n' "$found"
  return 1
}
export -f check
printf '%s\0' "${units[@]}" | xargs -0 -P "$(nproc)" -I UNIT bash -c 'check UNIT' || { echo "tidy: see above"; exit 1; }
echo "tidy: ${#units[@]} units, nothing found"
