#!/usr/bin/env python3
"""cmake/FindTorch.cmake with a CUDA build of Torch on a machine without the CUDA toolkit. Python's standard library only.

    tests/scripts/cuda_torch_test.py --torch-dir .../torch/share/cmake/Torch

The build is made up: the Torch at hand, with a libtorch_cuda.so and with Torch's file for CMake as CUDA builds have it,
which ends with an error where the toolkit is missing. Exit code 77, skipped: the Torch at hand is such a build itself,
so that everything here is built with one.
"""
import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFUSES = 'message(FATAL_ERROR "Your installed Caffe2 version uses CUDA but I cannot find the CUDA libraries.")\n'
PROJECT = """cmake_minimum_required(VERSION 3.25)
project(finds_torch CXX)
include({root}/cmake/FindTorch.cmake)
file(WRITE ${{CMAKE_BINARY_DIR}}/found "${{Torch_VERSION}}|${{TORCH_INSTALL_PREFIX}}")
add_executable(program main.cpp)
target_link_libraries(program PRIVATE ${{TORCH_LIBRARIES}})
target_include_directories(program PRIVATE ${{TORCH_INCLUDE_DIRS}})
"""


def cuda_build(of: Path, folder: Path) -> Path:
    """@return its folder, made of links to another build"""
    for part in ("lib", "share/cmake/Torch", "share/cmake/Caffe2"):
        (folder / part).mkdir(parents=True)
        for entry in (of / part).iterdir():
            (folder / part / entry.name).symlink_to(entry)
    (folder / "include").symlink_to(of / "include")
    cuda = folder / "lib/libtorch_cuda.so"
    if not cuda.exists():
        cuda.touch()
    config = folder / "share/cmake/Caffe2/Caffe2Config.cmake"
    config.unlink()
    config.write_text(REFUSES)
    return folder


def run(words, **more):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-dir", type=Path, required=True)
    torch = parser.parse_args().torch_dir.resolve().parents[2]
    if (torch / "lib/libtorch_cuda.so").exists():
        print(f"skipped: {torch} is a build for CUDA itself")
        return 77
    with tempfile.TemporaryDirectory(prefix="repsim-cuda-torch-") as name:
        folder = Path(name).resolve()
        made = cuda_build(torch, folder / "torch")
        (folder / "CMakeLists.txt").write_text(PROJECT.format(root=ROOT))
        # A header that is Torch's own, and a program that the loader has to find Torch for.
        (folder / "main.cpp").write_text("#include <torch/headeronly/macros/Macros.h>\nint main() { return 0; }\n")
        build = folder / "build"
        done = run(["cmake", "-S", folder, "-B", build, f"-DCMAKE_PREFIX_PATH={made}"])
        if done.returncode != 0:
            print(f"error: cmake: {done.stdout}{done.stderr}", file=sys.stderr)
            return 1
        version, prefix = (build / "found").read_text().split("|")
        problems = [] if Path(prefix) == made else [f"finds {prefix}, not {made}"]
        if not version.startswith("2."):
            problems.append(f"version {version}")
        done = run(["cmake", "--build", build])
        if done.returncode != 0:
            problems.append(f"does not build: {done.stdout}{done.stderr}")
        else:
            done = run([build / "program"], env={"PATH": os.environ["PATH"]})
            needed = run(["readelf", "-d", build / "program"]).stdout
            if "libtorch.so" not in needed:
                problems.append("libtorch.so is not linked: no GPU would be found")
            if done.returncode != 0:
                problems.append(f"the program does not start: {done.stderr}")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print("a CUDA build of Torch is found without the toolkit" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
