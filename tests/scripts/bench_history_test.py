#!/usr/bin/env python3
"""bench/history.py on made figures: which ratios it keeps, what it compares, what it marks. Standard library only."""

import contextlib
import io
import json
import subprocess
import sys
import tempfile
import unittest
from argparse import Namespace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))
import history  # noqa: E402


def figures(capture=12.0, search=30.0):
    """Two models with passes of 4 and 6 ms over 100 frames: one pass of both takes a second."""
    models = [{"name": "a", "ms_per_frame": {"bare": 4, "capture": capture / 2}},
              {"name": "b", "ms_per_frame": {"bare": 6, "capture": capture / 2}}]  # fmt: skip
    return {"capture": {"models": models, "frames": 100, "threads": 2, "similarity_seconds": 0.5},
            "plan": {"seconds": {"capture": 2.0, "search": search}, "bare_seconds": 10.0},
            "cuts": {"fit_seconds": 5.0, "bare_seconds": 10.0}}  # fmt: skip


def shown(entries):
    """What `show` prints, and its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.json"
        path.write_text(json.dumps(entries))
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            code = history.show(Namespace(file=path, limit=0.1))
    return text.getvalue(), code


class HistoryTest(unittest.TestCase):
    def test_ratios_are_times_in_passes_of_the_models_as_loaded(self):
        expected = {"capture": 1.2, "similarity": 0.5, "plan": 3.2, "plan: capture": 0.2, "plan: search": 3.0, "fits of all cuts": 0.5}
        self.assertEqual(history.ratios_of(figures()), expected)

    def test_a_run_without_a_plan_has_fewer_ratios(self):
        self.assertEqual(history.ratios_of({"capture": figures()["capture"]}), {"capture": 1.2, "similarity": 0.5})

    def test_what_grew_by_more_than_the_limit_is_marked(self):
        before, after = (history.entry_of(figures(search=s), c, "2026-01-01") for s, c in ((30.0, "old"), (34.0, "new")))
        text, code = shown([before, after])
        self.assertEqual(code, 1)
        self.assertIn("3.00           3.40  grew by 13%", text)
        self.assertNotIn("capture                                  1.20           1.20  grew", text)

    def test_what_shrank_or_grew_a_little_is_not(self):
        for search in (20.0, 32.0):
            before, after = (history.entry_of(figures(search=s), "c", "2026-01-01") for s in (30.0, search))
            self.assertEqual(shown([before, after])[1], 0, search)

    def test_a_tenth_of_a_pass_is_noise(self):
        before, after = (history.entry_of(figures(capture=c), "c", "2026-01-01") for c in (0.5, 1.0))
        self.assertEqual(shown([before, after])[1], 0)

    def test_other_machines_models_and_frames_are_other_series(self):
        first = history.entry_of(figures(search=30.0), "old", "2026-01-01")
        for key, value in (("processor", "another"), ("threads", 1), ("models", ["a"]), ("frames", 7)):
            other = {**history.entry_of(figures(search=60.0), "new", "2026-01-02"), key: value}
            text, code = shown([first, other])
            self.assertEqual(code, 0, key)
            self.assertEqual(text.count("is the only entry"), 2, key)

    def test_the_newest_two_of_a_series_are_compared(self):
        entries = [history.entry_of(figures(search=s), c, "2026-01-01") for s, c in ((10.0, "first"), (30.0, "second"), (30.0, "third"))]
        text, code = shown(entries)
        self.assertEqual(code, 0)
        self.assertNotIn("first", text)

    def test_the_kept_history_can_be_shown(self):
        done = subprocess.run([sys.executable, ROOT / "bench/history.py", "show"], capture_output=True, text=True)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    unittest.main()
