"""Operators of onnx_torch.py that compute: elementwise, reductions, matrix products, losses."""

import numpy as np
import torch
import torch.nn.functional as F

from onnx_torch_values import axes_of, to_torch, types


def each(function):
    return lambda node, x: function(*x)


def variadic(function):
    def evaluate(node, x):
        value = x[0]
        for other in x[1:]:
            value = function(value, other)
        return value

    return evaluate


def divide(node, x):
    return x[0] / x[1] if x[0].is_floating_point() else torch.div(x[0], x[1], rounding_mode="trunc")


def modulo(node, x):
    return torch.fmod(x[0], x[1]) if node.get("fmod", 0) else torch.remainder(x[0], x[1])


def clip(node, x):
    low = x[1] if len(x) > 1 and x[1] is not None else node.get("min")
    high = x[2] if len(x) > 2 and x[2] is not None else node.get("max")
    value = x[0]
    if low is not None:
        value = torch.maximum(value, torch.as_tensor(low, dtype=value.dtype))
    if high is not None:
        value = torch.minimum(value, torch.as_tensor(high, dtype=value.dtype))
    return value


def cast(node, x):
    return x[0].to(types[node["to"]])


def constant(node, x):
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in node:
            value = node[name]
            return value if torch.is_tensor(value) else to_torch(np.array(value, dtype=np.float32 if "float" in name else np.int64))
    raise ValueError("Constant without a value")


def gelu(node, x):
    return F.gelu(x[0], approximate=node.get("approximate", "none"))


def reduction(function):
    def evaluate(node, x):
        axes = axes_of(node, x)
        if axes is None or axes == []:
            if node.get("noop_with_empty_axes", 0):
                return x[0]
            axes = list(range(x[0].dim()))
        return function(x[0], [axis % x[0].dim() for axis in axes], bool(node.get("keepdims", 1)))

    return evaluate


def product(value, axes, keep):
    for axis in sorted(axes, reverse=True):
        value = value.prod(axis, keep)
    return value


def arg(function):
    def evaluate(node, x):
        return function(x[0], node.get("axis", 0), bool(node.get("keepdims", 1)))

    return evaluate


def cum_sum(node, x):
    axis = int(x[1])
    value = x[0].flip(axis) if node.get("reverse", 0) else x[0]
    total = value.cumsum(axis)
    total = total - value if node.get("exclusive", 0) else total
    return total.flip(axis) if node.get("reverse", 0) else total


def softmax(function, opset):
    def evaluate(node, x):
        axis = node.get("axis", -1 if opset >= 13 else 1)
        if opset >= 13:
            return function(x[0], axis)
        return function(x[0].flatten(axis % x[0].dim()), -1).reshape(x[0].shape)

    return evaluate


def cross_entropy(node, x):
    weights = x[2] if len(x) > 2 else None
    ignored = node.get("ignore_index", -100)
    loss = F.cross_entropy(x[0], x[1].long(), weights, ignore_index=ignored, reduction=node.get("reduction", "mean"))
    return (loss, F.log_softmax(x[0], 1))


def gemm(node, x):
    left = x[0].T if node.get("transA", 0) else x[0]
    right = x[1].T if node.get("transB", 0) else x[1]
    value = node.get("alpha", 1.0) * (left @ right)
    return value + node.get("beta", 1.0) * x[2] if len(x) > 2 and x[2] is not None else value
