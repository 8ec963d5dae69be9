#!/usr/bin/env python3
"""Check the Markdown files of this repository. Python's standard library only.

    scripts/dev/check_links.py [ROOT]

Three things are errors, each printed as `file:line: problem`; the exit code is 1 where there is any:

- a relative link to a file that does not exist, or to a heading that its page does not have (anchors as GitHub makes them);
- a page of docs/ that code, a script, a test or a schema names and that does not exist;
- a line of more than 120 columns. Rows of tables count as one column, URLs as none.
"""
import re
import sys
from pathlib import Path

COLUMNS = 120
SKIPPED = {"build", "node_modules", "__pycache__"}
CODE = {".cpp", ".hpp", ".def", ".py", ".sh", ".json", ".txt", ".cmake", ".in", ".mustache", ".html"}

LINK = re.compile(r"(?<!!)\[(?:[^\[\]`]|`[^`]*`)*\]\(([^()\s]+)\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
FENCE = re.compile(r"^\s*(```|~~~)")
PAGE = re.compile(r"\bdocs/[\w./-]*\.md\b")


def files(root: Path) -> list[Path]:
    """All files, without what is built and what is hidden."""
    found = []
    for path in sorted(root.iterdir()):
        if path.name.startswith(".") or path.name in SKIPPED or path.is_symlink():
            continue
        found += files(path) if path.is_dir() else [path]
    return found


def lines_of(path: Path) -> list[tuple[int, str, bool]]:
    """(number, text, whether it is code: in a fenced block, or an indented one) of each line."""
    result: list[tuple[int, str, bool]] = []
    fenced = indented = False
    blank = True
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line) is not None
        indented = line.startswith("    ") and (blank or indented) and not fenced
        result.append((number, line, fenced or fence or indented))
        fenced = fenced != fence
        blank = not line.strip()
    return result


def anchors(path: Path) -> set[str]:
    """GitHub's anchors: lower case, without punctuation, spaces as hyphens; a repeated heading gets -1, -2, ..."""
    found: set[str] = set()
    for _, line, code in lines_of(path):
        heading = None if code else HEADING.match(line)
        if heading is None:
            continue
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1]).lower()
        name = unique = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        count = 0
        while unique in found:
            count += 1
            unique = f"{name}-{count}"
        found.add(unique)
    return found


def link_problem(root: Path, page: Path, target: str) -> str | None:
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return None
    name, _, anchor = target.partition("#")
    path = (page.parent / name).resolve() if name else page
    if not path.exists() or not path.is_relative_to(root):
        return f"the link {target} leads to no file of this repository"
    if anchor and (path.suffix != ".md" or anchor not in anchors(path)):
        return f"the link {target} leads to no heading"
    return None


def page_problems(root: Path, page: Path) -> list[str]:
    problems = []
    lines = lines_of(page)
    for number, line, _ in lines:
        columns = len(re.sub(r"https?://[^\s)]+", "", line))
        if columns > COLUMNS and not line.lstrip().startswith("|"):
            problems.append(f"{page.relative_to(root)}:{number}: {columns} columns, more than {COLUMNS}")
    # The text of a link may go over the end of a line.
    text = "\n".join("" if code else line for _, line, code in lines)
    for link in LINK.finditer(text):
        problem = link_problem(root, page, link[1] or link[2])
        if problem:
            number = text.count("\n", 0, link.end()) + 1
            problems.append(f"{page.relative_to(root)}:{number}: {problem}")
    return problems


def code_problems(root: Path, path: Path) -> list[str]:
    problems = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        for named in PAGE.findall(line):
            if not (root / named).exists():
                problems.append(f"{path.relative_to(root)}:{number}: there is no page {named}")
    return problems


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2]).resolve()
    everything = files(root)
    pages = [path for path in everything if path.suffix == ".md"]
    problems = [problem for page in pages for problem in page_problems(root, page)]
    problems += [problem for path in everything if path.suffix in CODE for problem in code_problems(root, path)]
    for problem in problems:
        print(problem)
    if not problems:
        print(f"{len(pages)} pages, no problem")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
