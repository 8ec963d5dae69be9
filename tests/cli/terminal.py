#!/usr/bin/env python3
"""What repsim shows on terminals: colours, widths, the progress bar, --quiet; and its man pages.

    tests/cli/terminal.py --binary build/release/bin/repsim [--only NAME]

Python's standard library only. Exit code: 0 all passed, 1 some failed.
"""

import argparse
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import termios
from pathlib import Path

from small_plan import Place, Report, temporary_folder

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ESCAPE = "\x1b"
SIZES = (60, 80, 100, 200)
WIDEST_HELP = 100


def on_terminal(words, columns, cwd, env=None, only_stderr=False):
    """Exit code, what the terminal gets, and stdout if that is a pipe."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    settings = {**os.environ, "TERM": "xterm", **(env or {})}
    settings = {name: value for name, value in settings.items() if value is not None}
    stdout = subprocess.PIPE if only_stderr else follower
    process = subprocess.Popen(words, cwd=cwd, env=settings, stdin=subprocess.DEVNULL, stdout=stdout, stderr=follower)
    os.close(follower)
    shown, piped = b"", b""
    open_ends = [leader] + ([process.stdout.fileno()] if only_stderr else [])
    while open_ends:
        for end in select.select(open_ends, [], [], 300)[0]:
            try:
                part = os.read(end, 65536)
            except OSError:  # a terminal that nobody writes to any more
                part = b""
            if not part:
                open_ends.remove(end)
            elif end == leader:
                shown += part
            else:
                piped += part
    os.close(leader)
    return process.wait(), shown.decode(), piped.decode()


class TerminalTest:
    def __init__(self, arguments, folder, report):
        self.place = Place(arguments.binary, arguments.source, folder)
        self.binary, self.folder, self.report = self.place.binary, self.place.folder, report

    def check(self, name, *problems):
        self.report.check(name, [problem for problem in problems if problem])

    def terminal(self, *words, columns=80, **options):
        return on_terminal([self.binary, *words], columns, self.folder, **options)

    def piped(self, *words):
        code, stdout, stderr = self.place.run([self.binary, *words])
        return code, stdout.decode(), stderr.decode()

    def colours(self):
        self.check("ResultsHaveColoursOnATerminal", not COLOUR.search(self.terminal("doctor")[1]) and "no colour")
        code, shown, _ = self.terminal("plan", "a.pt")
        self.check("ErrorsHaveColoursOnATerminal", code != 2 and f"exit {code}",
                   not COLOUR.search(shown) and f"no colour: {shown!r}")  # fmt: skip
        for name, env in (("NoColour", {"NO_COLOR": "1"}), ("DumbTerminals", {"TERM": "dumb"}), ("NoTerm", {"TERM": None})):
            shown = self.terminal("doctor", env=env)[1] + self.terminal("plan", "a.pt", env=env)[1]
            self.check(f"ColoursGoWith{name}", ESCAPE in shown and f"an escape: {shown!r}")
        shown = self.terminal("doctor", env={"NO_COLOR": ""})[1]
        self.check("AnEmptyNoColourMeansNothing", not COLOUR.search(shown) and "no colour")
        texts = "".join("".join(self.piped(*words)[1:]) for words in (["doctor"], ["plan", "a.pt"], ["plan", "--help"]))
        self.check("PipesGetNoEscapes", ESCAPE in texts and f"an escape: {texts!r}")

    def widths(self):
        for columns in SIZES:
            for words in (["--help"], ["plan", "--help"], ["doctor"]):
                shown = COLOUR.sub("", self.terminal(*words, columns=columns)[1])
                # Examples and lines of a list stay whole: they can be copied.
                whole = [line for line in shown.splitlines() if not line.startswith("  repsim ")]
                indented = re.compile(r"^ {2,}\d+  |^       that")
                most = min(columns, WIDEST_HELP) if "doctor" not in words else columns
                long = [line for line in whole if len(line) > most and not indented.match(line)]
                self.check(f"{' '.join(words).title().replace(' ', '')}FitsInto{columns}", *long)
        narrow, wide = (self.terminal("plan", "--help", columns=columns)[1].split() for columns in (60, 100))
        self.check("WidthsChangeNoWord", narrow != wide and "other words")

    def bar(self):
        command = self.place.command()[1:]
        for columns in (20, 50, 120):
            shutil.rmtree(self.folder / "out", ignore_errors=True)
            shutil.rmtree(self.folder / "cache", ignore_errors=True)
            code, shown, stdout = self.terminal(*command, columns=columns, only_stderr=True)
            drawn = [part for part in re.split(r"[\r\n]|\x1b\[K", shown) if part and not part.startswith("repsim: ")]
            self.check(f"TheBarFitsInto{columns}", code != 0 and f"exit {code}: {shown!r}",
                       not drawn and "there is no bar", *[part for part in drawn if len(part) >= columns],
                       ESCAPE in stdout and "an escape in the result")  # fmt: skip
        shutil.rmtree(self.folder / "out")
        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        _, shown, _ = self.terminal(*command, env={"TERM": "dumb"}, only_stderr=True)
        self.check("ADumbTerminalGetsLines", ESCAPE in shown and f"an escape: {shown!r}")

    def quiet(self):
        for name, more in (("", []), ("WithProgress", ["--progress", "always"])):
            for where in ("terminal", "pipe"):
                shutil.rmtree(self.folder / "out", ignore_errors=True)
                shutil.rmtree(self.folder / "cache", ignore_errors=True)
                words = [*self.place.command()[1:], "--quiet", *more]
                if where == "terminal":
                    code, stderr, stdout = self.terminal(*words, only_stderr=True)
                else:
                    code, stdout, stderr = self.piped(*words)
                self.check(f"QuietOnA{where.capitalize()}{name}", code != 0 and f"exit {code}", stderr,
                           not stdout and "there is no result")  # fmt: skip
        code, _, stderr = self.piped("plan", "--quiet", "small.pt", "none.pt", "--input", "48x48", "--video", "v.y4m", "--out", "x")
        self.check("QuietStillSaysWhatIsWrong", code != 3 and f"exit {code}", "none.pt" not in stderr and stderr)

    def man(self):
        listed = re.findall(r"^  (\w+) ", self.piped("--help")[1].split("Subcommands:")[1].split("\n\n")[0], re.MULTILINE)
        self.check("ThereAreSubcommands", len(listed) < 10 and f"found {listed}")
        for command in [[], *[[name] for name in listed]]:
            name = "Man" + "".join(command).capitalize()
            code, page, stderr = self.piped(*command, "--man")
            text = self.piped(*command, "--help")[1]
            flags = set(re.findall(r"^(?:  -\w, |      )(--[\w-]+)", text, re.MULTILINE))
            plain = page.replace("\\-", "-")
            self.check(f"{name}HasAllFlags", code != 0 and stderr, not flags and "the help has no flag",
                       *[f"{flag} is missing" for flag in flags if f"\\fB{flag}\\fR" not in plain],
                       "--man" in text and "the help shows --man")  # fmt: skip
            self.check(f"{name}HasAllSections", *[f"no {title}" for title in ("NAME", "SYNOPSIS", "OPTIONS", "EXAMPLES",
                       "EXIT STATUS", "SEE ALSO") if f"\n.SH {title}\n" not in page])  # fmt: skip
            self.complaints_of_groff(name, page)

    def complaints_of_groff(self, name, page):
        if shutil.which("groff") is None:
            return self.report.skip(f"{name}IsCleanRoff", "groff is not installed")
        done = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8"], input=page, capture_output=True, text=True)
        return self.check(f"{name}IsCleanRoff", done.returncode != 0 and f"exit {done.returncode}", done.stderr)

    def run(self, only):
        for part in (self.colours, self.widths, self.bar, self.quiet, self.man):
            if not only or only in part.__name__:
                part()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--source", default=Path(__file__).resolve().parents[2], help="the repository")
    parser.add_argument("--only", help="run the parts whose name contains this")
    arguments = parser.parse_args()
    report = Report()
    with temporary_folder() as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        TerminalTest(arguments, folder, report).run(arguments.only)
    report.end()


if __name__ == "__main__":
    main()
