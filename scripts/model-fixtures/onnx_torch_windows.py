"""Operators of onnx_torch.py that slide a window: convolution and pooling."""

import math

import torch
import torch.nn.functional as F


def pads_of(node, inputs, kernel, strides, dilations):
    """Begin and end padding per spatial axis, from `pads` or `auto_pad`."""
    kind = node.get("auto_pad", "NOTSET")
    rank = len(kernel)
    if kind in ("NOTSET", "VALID"):
        pads = node.get("pads", [0] * 2 * rank) if kind == "NOTSET" else [0] * 2 * rank
        return pads[:rank], pads[rank:]
    begins, ends = [], []
    for size, k, stride, dilation in zip(inputs[0].shape[2:], kernel, strides, dilations):
        total = max((-(-size // stride) - 1) * stride + dilation * (k - 1) + 1 - size, 0)
        small = total // 2
        begins.append(small if kind == "SAME_UPPER" else total - small)
        ends.append(total - begins[-1])
    return begins, ends


def padded(value, begins, ends, fill=0.0):
    pairs = [size for pair in reversed(list(zip(begins, ends))) for size in pair]
    return F.pad(value, pairs, value=fill)


def conv(node, x):
    kernel = list(x[1].shape[2:])
    rank = len(kernel)
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    value = padded(x[0], *pads_of(node, x, kernel, strides, dilations))
    function = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    bias = x[2] if len(x) > 2 else None
    return function(value, x[1], bias, strides, 0, dilations, node.get("group", 1))


def conv_transpose(node, x):
    kernel = list(x[1].shape[2:])
    rank = len(kernel)
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    extra = node.get("output_padding", [0] * rank)
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    whole = function(x[0], x[1], None, strides, 0, 0, node.get("group", 1), dilations)
    full = [size + more for size, more in zip(whole.shape[2:], extra)]
    whole = padded(whole, [0] * rank, extra)
    kind = node.get("auto_pad", "NOTSET")
    if "output_shape" in node or kind.startswith("SAME"):
        wanted = node.get("output_shape", [size * stride for size, stride in zip(x[0].shape[2:], strides)])
        totals = [size - want for size, want in zip(full, wanted)]
        begins = [total // 2 if kind == "SAME_UPPER" else total - total // 2 for total in totals]
        ends = [total - begin for total, begin in zip(totals, begins)]
    else:
        pads = node.get("pads", [0] * 2 * rank)
        begins, ends = pads[:rank], pads[rank:]
    value = padded(whole, [-begin for begin in begins], [-end for end in ends])
    return value + x[2].reshape(-1, *[1] * rank) if len(x) > 2 and x[2] is not None else value


def span_of(kernel, dilations, i):
    return dilations[i] * (kernel[i] - 1) + 1


def pool_windows(node, x, fill):
    kernel = node["kernel_shape"]
    rank = len(kernel)
    strides, dilations = node.get("strides", [1] * rank), node.get("dilations", [1] * rank)
    begins, ends = pads_of(node, x, kernel, strides, dilations)
    if node.get("ceil_mode", 0):
        for i, size in enumerate(x[0].shape[2:]):
            span = size + begins[i] + ends[i] - dilations[i] * (kernel[i] - 1) - 1
            steps = -(-span // strides[i])
            steps -= steps * strides[i] >= size + begins[i]
            ends = [*ends[:i], max(ends[i], steps * strides[i] + span_of(kernel, dilations, i) - size - begins[i]), *ends[i + 1 :]]
    value = padded(x[0], begins, ends, fill)
    for i in range(rank):
        reach = dilations[i] * (kernel[i] - 1) + 1
        value = value.unfold(2 + i, reach, strides[i])
    for i in range(rank):
        value = value[(Ellipsis, *[slice(None)] * i, slice(None, None, dilations[i]), *[slice(None)] * (rank - 1 - i))]
    return value.flatten(2 + rank)


def max_pool(node, x):
    return pool_windows(node, x, -math.inf).amax(-1) if not x[0].requires_grad else pool_windows(node, x, -math.inf).max(-1).values


def average_pool(node, x):
    total = pool_windows(node, x, 0.0).sum(-1)
    if node.get("count_include_pad", 0) and not node.get("ceil_mode", 0):
        return total / math.prod(node["kernel_shape"])
    return total / pool_windows(node, [torch.ones_like(x[0])], 0.0).sum(-1)
