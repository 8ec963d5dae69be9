#!/usr/bin/env bash
# Installs what repsim needs to build, run and test, and nothing that is already there.
#
#   scripts/setup.sh            Debian packages, and a virtual environment .venv that holds LibTorch
#   scripts/setup.sh --no-venv  Debian packages only: for those who bring a Torch of their own (CMAKE_PREFIX_PATH)
#   scripts/setup.sh --with-runtimes  also what takes bundles to ONNX and ncnn (docs/runtimes.md)
#   scripts/setup.sh --with-test-tools  also what some tests need and skip without: Chromium with axe-core (Debian), libzip
#   scripts/setup.sh --torch VERSION  another Torch than the one with which repsim is tested (README.md says which others
#                    were tried); what .venv holds is replaced
#   scripts/setup.sh --print-packages  the names of the system's packages, one per line; installs nothing
#
# Debian 12 and 13, Ubuntu 22.04 and 24.04, or a relative of these. Runs as root, or with sudo where a package is missing.
# REPSIM_OS_RELEASE names another file than /etc/os-release.
set -euo pipefail
cd "$(dirname "$0")/.."

tested_torch=2.13.0
torch=$tested_torch
want_venv=yes
want_runtimes=no
want_test_tools=no
print_packages=no
refuse() { echo "setup.sh: $1" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --no-venv) want_venv=no ;;
    --with-runtimes) want_runtimes=yes ;;
    --with-test-tools) want_test_tools=yes ;;
    --print-packages) print_packages=yes ;;
    --torch)
      [[ ${2:-} =~ ^[0-9]+\.[0-9]+\.[0-9]+(\+[a-z0-9.]+)?$ ]] || refuse "--torch takes a version such as $tested_torch, not '${2:-}'"
      torch=$2
      shift
      ;;
    *) refuse "unknown argument '$1'; known: --no-venv, --with-runtimes, --with-test-tools, --torch VERSION, --print-packages" ;;
  esac
  shift
done
[ $want_venv = yes ] || [ $want_runtimes = no ] || refuse "--with-runtimes installs into .venv, which --no-venv leaves out"
[ $want_venv = yes ] || [ $want_test_tools = no ] || refuse "--with-test-tools installs into .venv, which --no-venv leaves out"
[ $want_venv = yes ] || [ "$torch" = $tested_torch ] || refuse "--torch installs into .venv, which --no-venv leaves out"

packages=(
  build-essential cmake ninja-build ccache git ca-certificates
  libopencv-dev libavformat-dev libavcodec-dev libavutil-dev libswscale-dev libcli11-dev nlohmann-json3-dev libspdlog-dev libssl-dev zlib1g-dev libboost-dev
  libkainjow-mustache-dev libgtest-dev libgmock-dev libvalijson-dev
  opencv-doc # carries vtest.avi, the video of the demo
  python3 python3-venv
)
# What differs from Debian 12, by ID and VERSION_ID of os-release: packages instead of those of the same place above, and
# packages for .venv where the system's are too old.
replaced=()
from_pypi=()
system=$(. "${REPSIM_OS_RELEASE:-/etc/os-release}" && echo "${ID:-}-${VERSION_ID:-}")
case $system in
  ubuntu-22.04)
    replaced=(build-essential="build-essential g++-12" cmake=) # g++ 11 and CMake 3.22 are too old
    from_pypi=("cmake>=3.25,<4")
    ;;
  debian-12 | debian-13 | ubuntu-24.04) ;; # the same names
esac
if [ $want_test_tools = yes ]; then
  packages+=(libzip-dev)
  case $system in debian-*) packages+=(chromium) ;; esac # Ubuntu has it as a snap only
fi
for change in "${replaced[@]}"; do
  for i in "${!packages[@]}"; do
    [ "${packages[$i]}" != "${change%%=*}" ] || packages[i]=${change#*=}
  done
done
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | tr ' ' '\n' | sed '/^$/d')
if [ $print_packages = yes ]; then
  printf '%s\n' "${packages[@]}"
  exit 0
fi

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
  wanted="$torch $(sha256sum <scripts/requirements.txt)${from_pypi[*]:+ ${from_pypi[*]}}"
  if [ "$(cat .venv/.complete 2>/dev/null || true)" = "$wanted" ]; then
    say ".venv: all there (torch $torch)"
  else
    say "making .venv with torch $torch (some minutes on a slow line)"
    [ -x .venv/bin/python ] || python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check "torch==$torch" -r scripts/requirements.txt ${from_pypi[@]+"${from_pypi[@]}"}
    printf '%s\n' "$wanted" >.venv/.complete
  fi
fi
if [ "$want_runtimes" = yes ]; then
  # A stamp of its own: a later setup without them neither removes them nor starts over.
  wanted_runtimes="$wanted $(sha256sum <scripts/requirements-runtimes.txt)"
  if [ "$(cat .venv/.complete-runtimes 2>/dev/null || true)" = "$wanted_runtimes" ]; then
    say "other runtimes: all there"
  else
    say "installing onnx, onnxruntime, openvino, nncf, pnnx and ncnn into .venv"
    .venv/bin/pip install --quiet --disable-pip-version-check "torch==$torch" -r scripts/requirements.txt -r scripts/requirements-runtimes.txt
    printf '%s\n' "$wanted_runtimes" >.venv/.complete-runtimes
  fi
fi
if [ "$want_test_tools" = yes ]; then
  axe=axe-playwright-python==0.1.8 # carries axe.min.js of axe-core 4.12; what it would drive is not needed
  if [ "$(cat .venv/.complete-test-tools 2>/dev/null || true)" = $axe ]; then
    say "axe-core: all there"
  else
    say "installing axe-core into .venv"
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps $axe
    printf '%s\n' $axe >.venv/.complete-test-tools
  fi
fi
if [ ${#from_pypi[@]} -gt 0 ]; then
  say "this system's compiler and CMake are too old: build with  export CXX=g++-12 PATH=\"$PWD/.venv/bin:\$PATH\""
fi
say "done"
