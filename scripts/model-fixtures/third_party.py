"""References for the ONNX files that npm packages carry: a loss on their outputs, gradients of their own weights.

    python scripts/model-fixtures/third_party.py CACHE [file …]

CACHE is where scripts/fetch-models.ts put the files that packages/autodiff/test/models/fixtures/third-party.json lists. The
gradients are too large to keep. Kept of each: its norm and 16 sums of its elements with signs drawn by a counter; the
mean square of the same sums of a difference is an unbiased estimate of the difference's squared norm.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from entry import relative
from onnx_torch import evaluate
from reference import mixed, sketch, write_tensors

models = Path(__file__).resolve().parents[2] / "packages/autodiff/test/models/fixtures"


def uniform(shape, seed):
    """float32 in [-1, 1), exact multiples of 2^-23."""
    values = (mixed(int(np.prod(shape)), seed) >> np.uint32(8)).astype(np.float64) / 2**23 - 1
    return torch.from_numpy(values.reshape(shape))


def float_tensors(graph):
    """Every float constant by name, in initializers and Constant nodes, also of graphs inside."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                found.update(float_tensors(attribute.g))
            elif node.op_type == "Constant" and attribute.name == "value":
                found[node.output[0]] = attribute.t
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, np.ndarray) or is_weight(tensor)}


def is_weight(tensor):
    return tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 0 and int(np.prod(tensor.dims)) > 1


def running_statistics(graph):
    found = set()
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            found.update(node.input[3:5])
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                found |= running_statistics(attribute.g)
    return found


def make(entry, cache):
    data = (cache / Path(entry["path"]).name).read_bytes()
    model = onnx.load_from_string(data)
    low, high = entry.get("range", [-1, 1])
    feeds = {
        name: low + (high - low) / 2 * (uniform(shape, 1 + i) + 1) for i, (name, shape) in enumerate(entry["inputs"].items())
    }
    fixed = {name: torch.tensor(value) for name, value in entry.get("fixed", {}).items()}
    outputs = entry.get("outputs", [output.name for output in model.graph.output])
    shown = onnx.load_from_string(data)
    known = {output.name for output in shown.graph.output}
    shown.graph.output.extend(onnx.helper.make_tensor_value_info(n, 1, None) for n in outputs if n not in known)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
    given = {name: value.float().numpy() for name, value in feeds.items()}
    expected = dict(zip(outputs, session.run(outputs, {**given, **{k: v.numpy() for k, v in fixed.items()}})))
    statistics = running_statistics(model.graph)
    weights = {
        name: torch.from_numpy(numpy_helper.to_array(tensor).copy()).double().requires_grad_()
        for name, tensor in float_tensors(model.graph).items()
        if name not in statistics
    }
    values = evaluate(model, {**feeds, **fixed}, weights)
    loss = torch.zeros((), dtype=torch.float64)
    for index, name in enumerate(outputs):
        far = relative(values[name].detach(), expected[name])
        assert far < 1e-4, f"{name}: onnxruntime differs by {far}"
        weighting = 1 + uniform(values[name].shape, 101 + index) / 2
        loss = loss + (weighting * values[name].square()).sum()
    found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    kept = {name: value for name, value in zip(weights, found) if value is not None and value.norm() > 0}
    print(Path(entry["path"]).name, f"{len(kept)} gradients, loss {float(loss):.6g}")
    table = torch.tensor([sketch(value) for value in kept.values()], dtype=torch.float64)
    shapes = {name: list(values[name].shape) for name in outputs}
    return {"outputs": shapes, "loss": float(loss), "parameters": list(kept)}, table


def main():
    cache, chosen = Path(sys.argv[1]), sys.argv[2:]
    target = models / "third-party"
    target.mkdir(exist_ok=True)
    for entry in json.loads((models / "third-party.json").read_text()):
        name = Path(entry["path"]).stem
        if chosen and name not in chosen:
            continue
        try:
            answer, table = make(entry, cache)
        except Exception as error:
            print(name, "failed:", repr(error)[:400])
            continue
        (target / f"{name}.json").write_text(json.dumps(answer) + "\n")
        write_tensors(target / f"{name}.safetensors.gz", {"gradients": table.float()})


if __name__ == "__main__":
    main()
