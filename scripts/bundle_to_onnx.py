#!/usr/bin/env python3
"""A bundle of repsim as an ONNX file, checked with onnxruntime.

    bundle_to_onnx.py BUNDLE.pt OUT.onnx [--model NAME] [--opset N] [--dynamic-batch]

Inputs are called images (or images_<model> where models take different ones), outputs <model>_boxes, <model>_scores,
<model>_labels, else <model>_<place>. On random pictures every output has to equal the bundle's to 1e-4 of its scale,
integers exactly; else nothing is written. Needs scripts/setup.sh --with-runtimes. docs/runtimes.md has the limits.
"""
import argparse
import os
import tempfile
import warnings
from pathlib import Path

import torch
from torch.onnx import symbolic_helper

from runtimes.bundle import Flat, compare, fail, open_bundle


def pooling_matrix(inputs: int, outputs: int) -> torch.Tensor:
    """[outputs, inputs]: row i averages the span that adaptive pooling gives to output i."""
    matrix = torch.zeros(outputs, inputs)
    for i in range(outputs):
        begin, end = i * inputs // outputs, -(-(i + 1) * inputs // outputs)
        matrix[i, begin:end] = 1 / (end - begin)
    return matrix


def adaptive_avg_pool2d(g, image, size):
    """ONNX has no adaptive pooling and torch's exporter only knows sizes that divide: two products with constant matrices
    are the same for any. Donors of another resolution are resized so in a bundle."""
    given, wanted = symbolic_helper._get_tensor_sizes(image), symbolic_helper._maybe_get_const(size, "is")
    if symbolic_helper._is_value(wanted) or given is None or None in given[2:]:
        raise torch.onnx.errors.SymbolicValueError("adaptive pooling of an unknown size", size)
    rows, columns = (pooling_matrix(a, b) for a, b in zip(given[2:], wanted))
    by_rows = g.op("MatMul", g.op("Constant", value_t=rows), image)
    pooled = g.op("MatMul", by_rows, g.op("Constant", value_t=columns.t().contiguous()))
    pooled.setType(image.type().with_sizes([*given[:2], *wanted]))
    return pooled


def export(flat: Flat, path: Path, opset: int, dynamic_batch: bool) -> None:
    names = [one.name for one in flat.inputs]
    axes = {name: {0: "batch"} for name in names + flat.outputs} if dynamic_batch else None
    torch.onnx.register_custom_op_symbolic("aten::adaptive_avg_pool2d", adaptive_avg_pool2d, opset)
    torch._C._jit_onnx_log = lambda *_: None  # it prints the whole graph beside an error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this exporter is the older one; the newer one takes no TorchScript
            torch.onnx.export(flat.module, tuple(flat.example(0)), str(path), dynamo=False, opset_version=opset,
                              input_names=names, output_names=flat.outputs, dynamic_axes=axes)  # fmt: skip
    except (RuntimeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
        fail(f"torch cannot export this to ONNX: {str(error).strip().splitlines()[0]}", "without --dynamic-batch, with --model NAME or another --opset it may do")


def check(flat: Flat, path: Path, batches: list[int], tolerance: float) -> list[str]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    taken = {one.name for one in session.get_inputs()}
    for name in (one.name for one in flat.inputs if one.name not in taken):
        print(f"no input {name}: nothing reads it any more")  # a model whose layers all come from a donor
    problems = []
    for seed, batch in enumerate(batches, 1):
        images = flat.example(seed, batch)
        print(f"batch {batch}, noise {seed}")
        feed = {one.name: image.numpy() for one, image in zip(flat.inputs, images) if one.name in taken}
        try:
            found = session.run(flat.outputs, feed)
        except Exception as error:  # onnxruntime's own kinds have no common base
            return [f"onnxruntime fails on a batch of {batch}: {error}"]
        problems += compare(flat, images, [torch.from_numpy(one) for one in found], tolerance)
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", help="only this model, with what it takes from its donors")
    parser.add_argument("--opset", type=int, default=17)
    parser.add_argument("--dynamic-batch", action="store_true", help="any number of pictures; checked with 1 and 3")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of an output's largest magnitude (1e-4)")
    args = parser.parse_args()
    if not args.out.absolute().parent.is_dir():
        fail(f"{args.out.absolute().parent}: no such folder")
    try:
        import onnx  # noqa: F401  torch.onnx needs it
        import onnxruntime  # noqa: F401
    except ImportError as error:
        fail(f"the package {error.name} is missing", "scripts/setup.sh --with-runtimes")
    flat = open_bundle(args.bundle, args.model)
    with tempfile.TemporaryDirectory(dir=args.out.absolute().parent, prefix=".onnx-") as folder:
        path = Path(folder) / "model.onnx"
        export(flat, path, args.opset, args.dynamic_batch)
        problems = check(flat, path, [1, 3] if args.dynamic_batch else [1, 1], args.tolerance)
        if problems:
            fail("the exported model gives other outputs, nothing was written:\n  " + "\n  ".join(problems))
        os.replace(path, args.out)
    print(f"{args.out}: {args.out.stat().st_size} bytes, equal to the bundle")


if __name__ == "__main__":
    main()
