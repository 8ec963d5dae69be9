#!/usr/bin/env python3
"""report.html in a browser: accessibility by axe-core, no console message, no sideways scrolling, hover and zoom.

    tests/scripts/report_page_test.py --binary build/release/bin/repsim --axe axe.min.js [--screenshots DIR]
    tests/scripts/report_page_test.py --report plan/report.html --axe axe.min.js

axe.min.js is a file of the package axe-core; if neither --axe nor REPSIM_AXE name it, the one that
`scripts/setup.sh --with-test-tools` installs counts. Every form is tried: wide and narrow,
light and dark, with and without the page's scripts and styles (as Jenkins blocks them). Python's standard library only.
Exits with 77 (skipped) where Chromium, axe-core or the demo's video are not there.
"""
import argparse
import base64
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VIDEO = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
SKIPPED = 77
# What Jenkins sends by default, without its sandbox, which a page cannot ask for itself.
POLICY = "default-src 'none'; img-src 'self'; style-src 'self';"
BAD = ("serious", "critical")
MAIN_HEADINGS = ("Before and after", "The models side by side", "What was tried", "How to make it again")


class Browser:
    """Chromium, driven through a pair of pipes (its DevTools protocol, one JSON object between NUL bytes)."""

    def __init__(self, program):
        self.folder = tempfile.TemporaryDirectory(prefix="repsim-browser-")
        to_browser, self.out = os.pipe()
        self.into, from_browser = os.pipe()

        def pipes_in_place():
            for given, wanted in ((to_browser, 3), (from_browser, 4)):
                os.dup2(os.dup(given), wanted, inheritable=True)

        # The two pipes may be 3 and 4 themselves: move them out of the way first.
        to_browser, from_browser = (os.dup2(fd, fd + 100, inheritable=True) for fd in (to_browser, from_browser))
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
                     f"--user-data-dir={self.folder.name}", "about:blank"]  # fmt: skip
        self.process = subprocess.Popen([program, *arguments], preexec_fn=pipes_in_place, close_fds=False,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self.numbers, self.rest, self.events = itertools.count(1), b"", []

    def read(self):
        while b"\0" not in self.rest:
            piece = os.read(self.into, 1 << 16)
            if not piece:
                raise RuntimeError("the browser has ended")
            self.rest += piece
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **parameters):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, event):
        while not any(one.get("method") == event for one in self.events):
            self.events.append(self.read())

    def close(self):
        try:
            self.call("Browser.close")
            self.process.wait(timeout=20)
        except (RuntimeError, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


class Page:
    def __init__(self, browser, path, width, scheme):
        self.browser = browser
        browser.events.clear()
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=path.as_uri())
        browser.wait_for("Page.loadEventFired")

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression[:80]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def messages(self):
        self.value("new Promise(done => setTimeout(done, 50))")
        found = []
        for event in self.browser.events:
            if event.get("method") == "Log.entryAdded":
                found.append(event["params"]["entry"]["text"])
            if event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                found.append(json.dumps(event["params"])[:300])
        return found

    def screenshot(self, file):
        height = self.value("document.documentElement.scrollHeight")
        width = self.value("document.documentElement.clientWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 12000), "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        Path(file).write_bytes(base64.b64decode(shot["data"]))

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)


def installed_axe():
    """The file that setup installs; None: it is not there."""
    return next(iter(ROOT.glob(".venv/lib/python3*/site-packages/axe_playwright_python/axe.min.js")), None)


def axe_problems(page, axe):
    page.value(axe)
    page.value("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    result = page.value(
        "axe.run(document, {runOnly: {type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa',"
        " 'best-practice']}}).then(r => r.violations.map(v => ({id: v.id, impact: v.impact,"
        " nodes: v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary)})))"
    )
    return [f"axe {one['impact']}: {one['id']}: {'; '.join(one['nodes'])}" for one in result if one["impact"] in BAD]


def hover(page, x, y):
    """What the tooltip says there; empty: there is none."""
    page.value("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # scrolling hides it
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    return page.value("(() => { const t = document.querySelector('.tip'); return t.hidden ? '' : t.textContent; })()")


def hover_problems(page):
    """The tooltip of a cell names both layers and the value; zoom shows a part; a shape shows its own text."""
    problems = []
    box = page.value(
        "(() => { const p = document.querySelector('svg.heatmap .picture'); if (!p) return null;"
        " p.scrollIntoView({block: 'center'}); const b = p.getBoundingClientRect();"
        " return {x: b.x, y: b.y, width: b.width, height: b.height}; })()"
    )
    if box is None:
        return ["there is no heatmap"]
    tip = hover(page, box["x"] + 2, box["y"] + 2)
    names = page.value(
        "(() => { const s = document.querySelector('svg.heatmap');"
        " return [s.dataset.rowModel + ': ' + s.dataset.rows.split('\\n')[0],"
        " s.dataset.colModel + ': ' + s.dataset.cols.split('\\n')[0]]; })()"
    )
    lines = tip.split("\n")
    if lines[:2] != names or len(lines) != 3:
        problems.append(f"the tooltip of the first cell is {tip!r}, not of {names}")
    before = page.value("document.querySelector('svg.heatmap').getAttribute('viewBox')")
    page.value("document.querySelector('.zoom button').click()")
    zoomed = page.value("document.querySelector('svg.heatmap').getAttribute('viewBox')")
    page.value("document.querySelector('.zoom button:last-child').click()")
    after = page.value("document.querySelector('svg.heatmap').getAttribute('viewBox')")
    if float(zoomed.split()[2]) * 1.9 > float(before.split()[2]):
        problems.append(f"zoom leaves the view at {zoomed}")
    if [float(one) for one in after.split()] != [float(one) for one in before.split()]:
        problems.append(f"the whole matrix is {before}, after zoom {after}")
    for selector in ("g.block", "g.point"):
        spot = page.value(
            # The chart of the candidates is there for wide and for narrow pages; one of both is shown.
            f"(() => {{ const all = Array.from(document.querySelectorAll('{selector} rect, {selector} circle'));"
            " const b = all.find((one) => one.getBoundingClientRect().width > 0); if (!b) return null;"
            " b.scrollIntoView({block: 'center', inline: 'center'}); const r = b.getBoundingClientRect();"
            " return {x: r.x + r.width / 2, y: r.y + r.height / 2}; })()"
        )
        if spot is None:
            problems.append(f"there is no {selector}")
            continue
        if not hover(page, spot["x"], spot["y"]):
            problems.append(f"{selector} has no tooltip")
    shown = page.value(
        "Array.from(document.querySelectorAll('svg.wide, svg.narrow')).filter((one) => one.getBoundingClientRect().width > 0).length"
    )
    if shown != 1:
        problems.append(f"{shown} charts of the candidates are shown")
    return problems


def page_problems(page, axe, blocked):
    problems = []
    wide = page.value("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    if not blocked and wide[0] > wide[1]:
        problems.append(f"the page is {wide[0]} pixels wide in a window of {wide[1]}")
    headings = page.value("[...document.querySelectorAll('h2')].map(one => one.textContent)")
    problems += [f"there is no heading {one!r}" for one in MAIN_HEADINGS if one not in headings]
    colours = page.value(
        "[...new Set([...document.querySelectorAll('svg rect')].map(one => getComputedStyle(one).fill))].length"
    )
    if colours < 4:
        problems.append(f"the drawings have {colours} colours")
    styled = page.value("getComputedStyle(document.body).margin") == "0px"
    if styled == blocked:
        problems.append("styles are blocked" if styled is False else "styles are not blocked: this form tests nothing")
    if not blocked:
        problems += [f"console: {one}" for one in page.messages()]
        problems += hover_problems(page)
        problems += [f"console: {one}" for one in page.messages()]
    return problems + axe_problems(page, axe)


def make_report(binary, folder):
    command = [binary.resolve(), "plan", ROOT / "demo" / "plain.pt", ROOT / "demo" / "mobile.pt", "--video", VIDEO,
               "--out", folder / "plan", "--frames", "32", "--share", "plain<-mobile", "--min-fidelity", "0",
               "--max-trials", "2", "--quiet"]  # fmt: skip
    subprocess.run([str(word) for word in command], check=True, timeout=600, stdout=subprocess.DEVNULL)
    return folder / "plan" / "report.html"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", type=Path)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--axe", type=Path, default=os.environ.get("REPSIM_AXE") or installed_axe())
    parser.add_argument("--screenshots", type=Path)
    arguments = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    missing = [] if chromium else ["Chromium"]
    missing += [] if arguments.axe and Path(arguments.axe).exists() else ["axe-core (--axe axe.min.js)"]
    missing += [] if arguments.report or VIDEO.exists() else [str(VIDEO)]
    if missing:
        print(f"skipped: {', '.join(missing)} is not there")
        sys.exit(SKIPPED)
    axe = Path(arguments.axe).read_text()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="repsim-report-") as name:
        folder = Path(name)
        report = (arguments.report or make_report(arguments.binary, folder)).resolve()
        bare = folder / "blocked.html"
        policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>'
        bare.write_text(report.read_text().replace("<head>", "<head>" + policy, 1))
        browser = Browser(chromium)
        try:
            for width, scheme, blocked in itertools.product((1200, 390), ("light", "dark"), (False, True)):
                form = f"{width}-{scheme}" + ("-blocked" if blocked else "")
                page = Page(browser, bare if blocked else report, width, scheme)
                if arguments.screenshots:
                    page.screenshot(arguments.screenshots / f"{form}.png")
                problems = page_problems(page, axe, blocked)
                page.close()
                failed += bool(problems)
                print("  FAILED " if problems else "  ok     ", form, sep="")
                for problem in problems:
                    print("      " + problem)
        finally:
            browser.close()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
