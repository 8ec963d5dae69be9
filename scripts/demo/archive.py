"""A detector as the bytes of a TorchScript file that depend on nothing but the model and the torch build."""
import io
import json
import multiprocessing
import os
import zipfile

import numpy as np
import torch

from .models import HEIGHT, MODELS, WIDTH, to_torchscript

CONFIG = {"imgsz": [HEIGHT, WIDTH], "names": {"0": "person"}, "stride": 16}
LEFT_OUT = (".debug_pkl", ".data/serialization_id")  # source paths of the machine that trained, and a hash over them


def without_traces_of_the_machine(content: bytes) -> bytes:
    """The same archive, uncompressed as torch wants it, with fixed dates and without LEFT_OUT."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            if not name.endswith(LEFT_OUT):
                new.writestr(zipfile.ZipInfo(name), old.read(name))
    return result.getvalue()


def _archive(name: str, state: dict[str, np.ndarray]) -> bytes:
    torch.set_num_threads(1)
    model = MODELS[name]()
    model.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    stream = io.BytesIO()  # a file's archive would carry the file's name inside
    torch.jit.save(to_torchscript(name, model), stream, _extra_files={"config.txt": json.dumps(CONFIG)})
    return without_traces_of_the_machine(stream.getvalue())


def archive(name: str, model: torch.nn.Module) -> bytes:
    """Written by a fresh process with a fixed hash seed: TorchScript numbers its types by what the process scripted before,
    and orders their constants like a Python set."""
    state = {key: np.ascontiguousarray(value.numpy()) for key, value in model.state_dict().items()}
    os.environ["PYTHONHASHSEED"] = "0"  # read by the child
    with multiprocessing.get_context("spawn").Pool(1) as fresh:
        return fresh.apply(_archive, (name, state))
