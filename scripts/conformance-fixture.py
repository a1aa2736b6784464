"""Writes packages/autodiff/test/conformance/fixtures/models.bin: ONNX's official single-operator models that have float inputs.

Usage: python3 scripts/conformance-fixture.py [FOLDER]

The models and their stored inputs and outputs come from the Python package `onnx` (the newest form of every operator)
and, when FOLDER is given, from the files of Debian's package `libonnx-testdata` (older operator sets):

    apt-get download libonnx-testdata && dpkg-deb -x libonnx-testdata_*.deb FOLDER

A model of an operator set above 23 (below 7) is taken with 23 (7) where its node is valid there. Left out: models of
several nodes, of other domains, without float inputs, with inputs or outputs that are no tensors of numbers,
and with more than 64 KiB of tensors.

The file is gzip: a uint32 (little-endian) with the length of a JSON text, the JSON text, and the bytes of all models
and tensors, each once, at the offsets that the JSON names.
"""

import gzip
import json
import struct
import sys
import warnings
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

warnings.filterwarnings("ignore")

OPSET_LEAST, OPSET_MOST = 7, 23
TENSOR_BYTES_MAX = 64 * 1024
TYPES = {
    np.dtype("float32"): "float32",
    np.dtype("float64"): "float64",
    np.dtype("float16"): "float16",
    np.dtype("int8"): "int8",
    np.dtype("int16"): "int16",
    np.dtype("int32"): "int32",
    np.dtype("int64"): "int64",
    np.dtype("uint8"): "uint8",
    np.dtype("uint16"): "uint16",
    np.dtype("uint32"): "uint32",
    np.dtype("uint64"): "uint64",
    np.dtype("bool"): "bool",
    np.dtype(ml_dtypes.bfloat16): "bfloat16",
}
TARGET = Path(__file__).parent.parent / "packages/autodiff/test/conformance/fixtures/models.bin"


class Pool:
    """Bytes, each sequence once."""

    def __init__(self):
        self.parts, self.places, self.length = [], {}, 0

    def add(self, data):
        if data not in self.places:
            self.places[data] = self.length
            self.parts.append(data)
            self.length += len(data)
        return [self.places[data], len(data)]


def plain(value):
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


def tensors_of(values, infos, pool):
    """The values as name, type, shape and place, or None when one is no tensor of numbers."""
    tensors = []
    for value, info in zip(values, infos, strict=True):
        if isinstance(value, (list, dict, tuple)) or value is None or not info.type.HasField("tensor_type"):
            return None
        array = np.asarray(value)
        if array.dtype not in TYPES:
            return None
        kind = "bfloat16" if info.type.tensor_type.elem_type == TensorProto.BFLOAT16 else TYPES[array.dtype]
        data = np.ascontiguousarray(array).tobytes()
        tensors.append({"name": info.name, "type": kind, "shape": list(array.shape), "at": pool.add(data)})
    return tensors


def within_opsets(model):
    """The model in an operator set of the range, or None."""
    version = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), None)
    if version is None:
        return None
    if not OPSET_LEAST <= version <= OPSET_MOST:
        for each in model.opset_import:
            if each.domain in ("", "ai.onnx"):
                each.version = min(max(version, OPSET_LEAST), OPSET_MOST)
        model.ir_version = min(model.ir_version, 10)
        try:
            onnx.checker.check_model(model, full_check=True)
        except Exception:
            return None
    return model


def case_of(name, model, inputs, outputs, tolerance, pool):
    if len(model.graph.node) != 1 or model.graph.node[0].domain not in ("", "ai.onnx") or len(model.functions) > 0:
        return None
    floats = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
    if not any(info.type.tensor_type.elem_type in floats for info in model.graph.input):
        return None
    arrays = [np.asarray(value) for value in [*inputs, *outputs] if not isinstance(value, (list, dict, tuple))]
    if sum(array.nbytes for array in arrays) + model.ByteSize() > TENSOR_BYTES_MAX:
        return None
    model = within_opsets(model)
    if model is None:
        return None
    scratch = Pool()
    if tensors_of(inputs, model.graph.input, scratch) is None or tensors_of(outputs, model.graph.output, scratch) is None:
        return None
    model.graph.ClearField("doc_string")
    model.ClearField("doc_string")
    return {
        "name": name,
        "operator": model.graph.node[0].op_type,
        "opset": next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx")),
        "model": pool.add(model.SerializeToString(deterministic=True)),
        "inputs": tensors_of(inputs, model.graph.input, pool),
        "outputs": tensors_of(outputs, model.graph.output, pool),
        "tolerance": tolerance,
    }


def generated_cases():
    np.random.seed(0)
    for case in collect_testcases(None):
        if case.model is not None and case.data_sets:
            inputs, outputs = case.data_sets[0]
            inputs, outputs = [[plain(value) for value in each] for each in (inputs, outputs)]
            yield case.name.removeprefix("test_"), case.model, inputs, outputs, [case.rtol, case.atol]


def read_values(folder, kind):
    values = []
    for path in sorted(folder.glob(f"{kind}_*.pb"), key=lambda each: int(each.stem.split("_")[1])):
        values.append(numpy_helper.to_array(TensorProto.FromString(path.read_bytes())))
    return values


def stored_cases(root):
    for path in sorted(set(Path(root).rglob("node/*/model.onnx"))):
        folder = path.parent / "test_data_set_0"
        model = onnx.load(path)
        try:
            inputs, outputs = read_values(folder, "input"), read_values(folder, "output")
        except Exception:
            continue
        if len(inputs) == len(model.graph.input) and len(outputs) == len(model.graph.output):
            yield path.parent.name.removeprefix("test_"), model, inputs, outputs, [1e-3, 1e-7]


def main():
    pool, cases, seen = Pool(), [], set()
    sources = list(generated_cases()) + (list(stored_cases(sys.argv[1])) if len(sys.argv) > 1 else [])
    for name, model, inputs, outputs, tolerance in sources:
        case = case_of(name, model, inputs, outputs, tolerance, pool)
        if case is None or (name, case["opset"]) in seen:
            continue
        seen.add((name, case["opset"]))
        cases.append(case)
    header = json.dumps({"cases": cases}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    body = struct.pack("<I", len(header)) + header + b"".join(pool.parts)
    data = gzip.compress(body, 9, mtime=0)
    TARGET.write_bytes(data)
    print(f"{len(cases)} of {len(sources)} models, {len({case['operator'] for case in cases})} operators, {len(data)} bytes")


main()
