"""What fixtures of all frameworks share: the kept tensors, runs by onnxruntime, gradients of a file itself."""

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper

from onnx_torch import evaluate
from reference import coarse


def initializers(model):
    """Float tensors stored in the main graph by name."""
    kinds = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE)
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.data_type in kinds}


def run(data, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, feeds)))


def relative(value, expected):
    expected = torch.as_tensor(expected).double()
    return float((torch.as_tensor(value).double() - expected).norm() / (expected.norm() + 1e-30))


def difference(data, feeds, logits, output="logits"):
    """Why onnxruntime's logits are not PyTorch's, if they are not."""
    try:
        far = relative(run(data, feeds)[output], logits)
    except Exception as error:
        return f"onnxruntime refuses it: {error}"[:300]
    return None if far < 1e-4 else f"onnxruntime's logits differ from PyTorch's by {far:.1e}"


class Store:
    """Tensors by key; equal gradients are kept once."""

    def __init__(self):
        self.tensors = {}
        self.known = {}

    def gradient(self, key, value, largest):
        """The key under which a gradient is kept; below 1e-8 of the largest it is rounding of an exact zero."""
        return self.table(key, coarse(value) if value.norm() > 1e-8 * largest else torch.zeros(value.shape))

    def table(self, key, kept):
        """The key of a tensor that is kept once."""
        content = (tuple(kept.shape), kept.numpy().tobytes())
        if content not in self.known:
            self.known[content] = key
            self.tensors[key] = kept
        return self.known[content]


def trainable(model, names):
    """Of the initializers that are no parameters of the PyTorch model, those that training may change.

    Not the frequencies of rotary embeddings, which PyTorch keeps as a buffer.
    """
    weights = initializers(model)
    statistics = {name for node in model.graph.node if node.op_type == "BatchNormalization" for name in node.input[3:5]}
    fits = lambda name: weights[name].ndim > 0 and np.isfinite(weights[name]).all() and name not in statistics and not name.endswith("inv_freq")
    return [name for name in names if fits(name)]


def file_gradients(model, inputs, weighted, names, wanted, output="logits"):
    """(logits, loss, gradients by initializer) of the file itself, evaluated in float64."""
    known = initializers(model)
    weights = {name: torch.from_numpy(known[name].copy()).double().requires_grad_() for name in wanted}
    values = evaluate(model, {name: inputs[name] for name in names}, weights)
    loss = values["loss"] if weighted is None else (weighted.double() * values[output].square()).sum()
    found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    return values[output], loss, {name: value for name, value in zip(weights, found) if value is not None}
