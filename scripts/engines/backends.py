"""Engines that run a flat module (runtimes/bundle.py) frame by frame. Each is a class with `names`, `run(images)`, `bytes`."""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import bundle_to_ncnn  # noqa: E402
import bundle_to_onnx  # noqa: E402
from runtimes.bundle import Flat, fail  # noqa: E402

PRECISIONS = {"onnxruntime": ("fp32", "int8"), "openvino": ("fp32", "int8"), "ncnn": ("fp32", "fp16"),
              "tensorrt": ("fp32", "fp16", "int8")}  # fmt: skip
PACKAGES = {"onnxruntime": ("onnx", "onnxruntime"), "openvino": ("onnx", "onnxruntime", "openvino", "nncf"),
            "ncnn": ("pnnx", "ncnn"), "tensorrt": ("onnx", "onnxruntime", "tensorrt")}  # fmt: skip
TAKES_INTEGERS = {"onnxruntime", "openvino", "tensorrt"}
OPSET = 17

Frames = list[dict[str, np.ndarray]]  # per frame one [1, ...] per input


def onnx_file(flat: Flat, folder: Path) -> Path:
    path = folder / "fp32.onnx"
    bundle_to_onnx.export(flat, path, OPSET, dynamic_batch=False)
    return path


def quantised_onnx(path: Path, calibration: Frames) -> Path:
    """ONNX Runtime's static post-training quantisation: int8 weights per channel, activations from the frames' ranges."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.frames = iter(calibration)

        def get_next(self):
            return next(self.frames, None)

    prepared, result = path.with_name("prepared.onnx"), path.with_name("int8.onnx")
    quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
    quantize_static(str(prepared), str(result), Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QInt8, weight_type=QuantType.QInt8)  # fmt: skip
    return result


class OnnxRuntime:
    def __init__(self, flat: Flat, folder: Path, precision: str, calibration: Frames, threads: int):
        import onnxruntime

        path = onnx_file(flat, folder)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        fp32 = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.names = {one.name for one in fp32.get_inputs()}
        if precision == "int8":
            calibration = [{name: frame[name] for name in self.names} for frame in calibration]
            path = quantised_onnx(path, calibration)
            fp32 = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.session, self.outputs, self.bytes = fp32, flat.outputs, path.stat().st_size

    def run(self, images: dict[str, np.ndarray]) -> list[np.ndarray]:
        return self.session.run(self.outputs, images)


class OpenVino:
    def __init__(self, flat: Flat, folder: Path, precision: str, calibration: Frames, threads: int):
        import openvino

        core = openvino.Core()
        model = core.read_model(onnx_file(flat, folder))
        self.names = {port.get_any_name() for port in model.inputs}
        if precision == "int8":
            import logging

            import nncf

            nncf.set_log_level(logging.ERROR)
            frames = [{name: frame[name] for name in self.names} for frame in calibration]
            model = nncf.quantize(model, nncf.Dataset(frames), subset_size=len(frames))
        target = folder / "model.xml"
        openvino.save_model(model, target, compress_to_fp16=False)
        self.bytes = target.stat().st_size + target.with_suffix(".bin").stat().st_size
        # Without the hint OpenVINO computes in bfloat16 where the processor can.
        config = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            config["INFERENCE_NUM_THREADS"] = threads
        self.request = core.compile_model(model, "CPU", config).create_infer_request()
        self.outputs = flat.outputs

    def run(self, images: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.request.infer(images)
        return [np.array(self.request.get_tensor(name).data) for name in self.outputs]


class Ncnn:
    """The weights are float16 in the file; whether it computes so depends on the processor (ARM: yes, x86: in float32)."""

    def __init__(self, flat: Flat, folder: Path, precision: str, _: Frames, threads: int):
        import ncnn

        param, weights = bundle_to_ncnn.convert(flat, folder, fp16=precision == "fp16")
        bundle_to_ncnn.rename(flat, param)
        self.net = ncnn.Net()
        on = precision == "fp16"
        self.net.opt.use_fp16_packed = self.net.opt.use_fp16_storage = self.net.opt.use_fp16_arithmetic = on
        self.net.opt.use_bf16_storage = False
        if threads:
            self.net.opt.num_threads = threads
        if self.net.load_param(str(param)) != 0 or self.net.load_model(str(weights)) != 0:
            fail("ncnn cannot load the converted model")
        self.ncnn, self.outputs = ncnn, flat.outputs
        self.names = {one.name for one in flat.inputs}
        self.bytes = param.stat().st_size + weights.stat().st_size

    def run(self, images: dict[str, np.ndarray]) -> list[np.ndarray]:
        extractor = self.net.create_extractor()
        for name, image in images.items():
            extractor.input(name, self.ncnn.Mat(np.ascontiguousarray(image[0])).clone())
        found = []
        for name in self.outputs:
            code, blob = extractor.extract(name)
            if code != 0:
                fail(f"ncnn cannot compute {name}")
            found.append(np.array(blob)[None])
        return found


class TensorRt:
    """Needs an NVIDIA GPU. int8 takes the scales that ONNX Runtime's quantisation found on the same frames."""

    def __init__(self, flat: Flat, folder: Path, precision: str, calibration: Frames, _: int):
        import tensorrt as trt

        path = onnx_file(flat, folder)
        if precision == "int8":
            import onnxruntime

            taken = {one.name for one in onnxruntime.InferenceSession(str(path)).get_inputs()}
            path = quantised_onnx(path, [{name: frame[name] for name in taken} for frame in calibration])
        logger = trt.Logger(trt.Logger.ERROR)
        builder = trt.Builder(logger)
        network = builder.create_network(0)
        parser = trt.OnnxParser(network, logger)
        if not parser.parse(path.read_bytes()):
            fail(f"TensorRT cannot read the ONNX file: {parser.get_error(0)}")
        config = builder.create_builder_config()
        if precision == "fp16":
            config.set_flag(trt.BuilderFlag.FP16)
        if precision == "int8":
            config.set_flag(trt.BuilderFlag.INT8)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            fail("TensorRT cannot build an engine")
        engine = trt.Runtime(logger).deserialize_cuda_engine(plan)
        self.context, self.engine, self.bytes, self.outputs = engine.create_execution_context(), engine, plan.nbytes, flat.outputs
        places = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        self.names = {name for name in places if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT}

    def run(self, images: dict[str, np.ndarray]) -> list[np.ndarray]:
        held = {name: torch.from_numpy(image).cuda() for name, image in images.items()}
        for name in self.outputs:
            shape = tuple(self.context.get_tensor_shape(name))
            dtype = {"FLOAT": torch.float32, "HALF": torch.float16, "INT64": torch.int64, "INT32": torch.int32}
            held[name] = torch.empty(shape, dtype=dtype[self.engine.get_tensor_dtype(name).name], device="cuda")
        for name, tensor in held.items():
            self.context.set_tensor_address(name, tensor.data_ptr())
        self.context.execute_async_v3(torch.cuda.current_stream().cuda_stream)
        torch.cuda.synchronize()
        return [held[name].cpu().numpy() for name in self.outputs]


ENGINES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "ncnn": Ncnn, "tensorrt": TensorRt}


def missing_packages(engine: str) -> list[str]:
    import importlib.util

    return [package for package in PACKAGES[engine] if importlib.util.find_spec(package) is None]


def has_nvidia_gpu() -> bool:
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=60).returncode == 0
    except OSError:
        return False


def working_folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="repsim-engine-")
