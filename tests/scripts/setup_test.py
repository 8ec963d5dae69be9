#!/usr/bin/env python3
"""What scripts/setup.sh would install, by system; nothing is installed. Python's standard library only."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SETUP = Path(__file__).resolve().parents[2] / "scripts" / "setup.sh"


def setup(*arguments, system=("debian", "12")):
    with tempfile.TemporaryDirectory() as folder:
        release = Path(folder) / "os-release"
        release.write_text('NAME="any"\nID=%s\nVERSION_ID="%s"\n' % system)
        return subprocess.run([SETUP, *arguments], capture_output=True, text=True, check=False,
                              env={**os.environ, "REPSIM_OS_RELEASE": str(release)})  # fmt: skip


def packages(*system, more=()):
    done = setup("--print-packages", *more, system=system)
    return done.stdout.split()


class Packages(unittest.TestCase):
    def test_debian_13_and_ubuntu_24_have_the_names_of_debian_12(self):
        self.assertIn("libopencv-dev", packages("debian", "12"))
        for system in (("debian", "13"), ("ubuntu", "24.04"), ("relative", "1")):
            self.assertEqual(packages(*system), packages("debian", "12"))

    def test_ubuntu_22_gets_another_compiler_and_no_cmake(self):
        found = packages("ubuntu", "22.04")
        self.assertEqual(set(found) - set(packages("debian", "12")), {"g++-12"})
        self.assertEqual(set(packages("debian", "12")) - set(found), {"cmake"})

    def test_only_debian_has_a_browser_as_a_package(self):
        tools = ("--with-test-tools",)
        added = {system: set(packages(*system, more=tools)) - set(packages(*system))
                 for system in (("debian", "12"), ("debian", "13"), ("ubuntu", "24.04"))}  # fmt: skip
        self.assertEqual(added, {("debian", "12"): {"libzip-dev", "chromium"}, ("debian", "13"): {"libzip-dev", "chromium"},
                                 ("ubuntu", "24.04"): {"libzip-dev"}})  # fmt: skip


class Arguments(unittest.TestCase):
    def test_a_wrong_command_line_ends_with_2(self):
        for arguments in (["--torch"], ["--torch", "newest"], ["--torch", "2.13"], ["--toch", "2.13.0"],
                          ["--no-venv", "--torch", "2.14.1"], ["--no-venv", "--with-runtimes"],
                          ["--no-venv", "--with-test-tools"]):  # fmt: skip
            done = setup(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertTrue(done.stderr.startswith("setup.sh: "), done.stderr)


if __name__ == "__main__":
    unittest.main()
