"""One forward pass of models as a Python script makes it: torch as it comes, the C library's defaults.

    bench/run --plan calls it: bare.py INPUTS.npy OUT.json WIDTHxHEIGHT FRAMES THREADS A.pt B.pt ...

repsim_bench keeps freed memory in the process, as repsim does, also where it runs the models as loaded: that is the
faster pass, and what figures are relative to. This is the one that others see.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

BATCH = 16


def main():
    inputs, out, size, frames, threads, *paths = sys.argv[1:]
    width, height = map(int, size.split("x"))
    torch.set_num_threads(int(threads))
    clock = time.process_time if int(threads) == 1 else time.perf_counter
    batches = torch.from_numpy(np.load(inputs)).float().reshape(-1, 3, height, width).split(BATCH)
    best = []
    with torch.inference_mode():
        for path in paths:
            model = torch.jit.load(path).eval()
            for batch in batches[:2]:  # the graph executor specialises itself
                model(batch)
            seconds = []
            for _ in range(2):
                begin = clock()
                for batch in batches:
                    model(batch)
                seconds.append(clock() - begin)
            best.append(min(seconds) / sum(map(len, batches)))
    Path(out).write_text(json.dumps({"seconds": int(frames) * sum(best)}))


if __name__ == "__main__":
    main()
