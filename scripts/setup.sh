#!/usr/bin/env bash
# Installs what repsim needs to build, run and test, and nothing that is already there.
#
#   scripts/setup.sh            Debian packages, and a virtual environment .venv that holds LibTorch
#   scripts/setup.sh --no-venv  Debian packages only: for those who bring a Torch of their own (CMAKE_PREFIX_PATH)
#
# Debian 12 or a relative of it. Runs as root, or with sudo where a package is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(
  build-essential cmake ninja-build ccache git ca-certificates
  libopencv-dev libcli11-dev nlohmann-json3-dev libspdlog-dev libssl-dev libgtest-dev libgmock-dev
  opencv-doc # carries vtest.avi, the video of the demo
  python3 python3-venv
)
torch=2.13.0
want_venv=yes
for argument in "$@"; do
  case $argument in
    --no-venv) want_venv=no ;;
    *) echo "setup.sh: unknown argument '$argument'; known: --no-venv" >&2; exit 2 ;;
  esac
done

say() { printf 'setup: %s\n' "$*"; }

missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "missing: ${missing[*]}; run this as root, or install sudo"; exit 1; }
    root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${root[@]}" apt-get update -qq
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  say "Debian packages: all there"
fi

if [ "$want_venv" = yes ]; then
  wanted="$torch $(sha256sum <scripts/requirements.txt)"
  if [ "$(cat .venv/.complete 2>/dev/null || true)" = "$wanted" ]; then
    say ".venv: all there (torch $torch)"
  else
    say "making .venv with torch $torch (some minutes on a slow line)"
    [ -x .venv/bin/python ] || python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check "torch==$torch" -r scripts/requirements.txt
    printf '%s\n' "$wanted" >.venv/.complete
  fi
fi
say "done"
