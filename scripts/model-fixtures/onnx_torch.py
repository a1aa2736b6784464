"""Evaluates an ONNX graph with PyTorch in float64, so that autograd gives the gradient of any of its values.

The oracle for weights that exist only in the file: folded, fused or repacked by an exporter, or written by a framework
whose own gradients are out of reach. Written from the operators' specification; every use checks the values it gives
against onnxruntime, and its gradients against PyTorch's wherever a weight is also a parameter of the PyTorch model.
"""

import onnx
import onnx.inliner
import torch
import torch.nn.functional as F
from onnx import numpy_helper

from onnx_torch_arithmetic import softmax
from onnx_torch_operators import operators
from onnx_torch_values import to_torch


def attributes(node):
    found = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if attribute.type == onnx.AttributeProto.STRING:
            value = value.decode()
        elif attribute.type == onnx.AttributeProto.STRINGS:
            value = [text.decode() for text in value]
        elif attribute.type == onnx.AttributeProto.TENSOR:
            value = to_torch(numpy_helper.to_array(value))
        elif attribute.type in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
            value = list(value)
        found[attribute.name] = value
    return {**found, "type": node.op_type, "outputs": len(node.output)}


def loop(body, inputs, outer, opset):
    """Loop with a trip count, a condition, or both."""
    count = int(inputs[0]) if inputs[0] is not None else 10**6
    going = bool(inputs[1]) if len(inputs) > 1 and inputs[1] is not None else True
    carried, scanned = list(inputs[2:]), []
    names = [value.name for value in body.input]
    for step in range(count):
        if not going:
            break
        start = dict(zip(names, [torch.tensor(step), torch.tensor(going), *carried]))
        inner = evaluate_graph(body, {**outer, **start}, opset)
        results = [inner[value.name] for value in body.output]
        going = bool(results[0])
        scanned.append(results[1 + len(carried) :])
        carried = results[1 : 1 + len(carried)]
    return (*carried, *[torch.stack(list(parts)) for parts in zip(*scanned)])


def evaluate_graph(graph, values, opset):
    for tensor in graph.initializer:
        if tensor.name not in values:
            values[tensor.name] = to_torch(numpy_helper.to_array(tensor))
    for node in graph.node:
        if node.op_type == "Constant" and node.output[0] in values:
            continue
        inputs = [values[name] if name else None for name in node.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        known = attributes(node)
        if node.op_type == "If":
            chosen = known["then_branch"] if bool(inputs[0]) else known["else_branch"]
            inner = evaluate_graph(chosen, dict(values), opset)
            outputs = tuple(inner[output.name] for output in chosen.output)
        elif node.op_type == "Loop":
            outputs = loop(known["body"], inputs, values, opset)
        elif node.op_type in ("Softmax", "LogSoftmax"):
            outputs = softmax(F.softmax if node.op_type == "Softmax" else F.log_softmax, opset)(known, inputs)
        else:
            outputs = operators[node.op_type](known, inputs)
        outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        for name, value in zip(node.output, outputs):
            if name:
                values[name] = value
    return values


def evaluate(model, feeds, weights):
    """All values of the main graph; `weights` (name → tensor) stand in for initializers of these names."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    start = {name: value.double() if value.is_floating_point() else value for name, value in feeds.items()}
    return evaluate_graph(model.graph, {**start, **weights}, opset)
