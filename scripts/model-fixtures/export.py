"""Writes a case's ONNX files, and finds which of PyTorch's parameters each initializer holds."""

import contextlib
import io
import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch

from entry import initializers
from reference import WithLoss, build

logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")


def export(case, how):
    """The bytes of one ONNX file; raises what the exporter raises."""
    model = build(case)
    module = WithLoss(model, case.loss) if how.loss else model
    module.train(how.train)
    inputs = case.inputs(0)
    names = list(inputs) if how.loss else list(inputs)[:-1]
    arguments = tuple(inputs[name] for name in names)
    outputs = ["loss", "logits"] if how.loss else ["logits"]
    options = {"input_names": names, "output_names": outputs, "opset_version": how.opset}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "model.onnx"
        if how.exporter == "script":
            torch.onnx.export(
                module,
                arguments,
                str(path),
                dynamo=False,
                do_constant_folding=not (how.plain or how.train),
                training=torch.onnx.TrainingMode.TRAINING if how.train else torch.onnx.TrainingMode.EVAL,
                dynamic_axes={name: axes for name, axes in case.axes.items() if name in names},
                **options,
            )
        else:
            dims = tuple({axis: torch.export.Dim.AUTO for axis in case.axes.get(name, {})} for name in names)
            program = torch.export.export(module, arguments, dynamic_shapes=(dims,) if how.loss else dims)
            torch.onnx.export(
                program,
                (),
                str(path),
                dynamo=True,
                optimize=not (how.plain or how.train),
                external_data=False,
                **options,
            )
        return path.read_bytes()


def mapping(model, parameters):
    """{initializer: (parameter, whether transposed)} for those whose values are a parameter's, and the others."""
    found, others = {}, []
    for name, value in initializers(model).items():
        short = name.removeprefix("model.") if name not in parameters else name
        if short in parameters and same(value, parameters[short]):
            found[name] = (short, False)
            continue
        for parameter, known in parameters.items():
            if value.size > 1 and same(value, known):
                found[name] = (parameter, False)
            elif value.ndim == 2 and value.size > 1 and same(value, known.T):
                found[name] = (parameter, True)
            else:
                continue
            break
        else:
            others.append(name)
    return found, others


def same(left, right):
    return left.shape == right.shape and np.array_equal(left, right)
