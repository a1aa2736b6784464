"""Operators of onnx_torch.py that move values: shapes, slices, gathers, scatters, padding."""

import math

import torch
import torch.nn.functional as F

from onnx_torch_values import axes_of, numbers


def reshape(node, x):
    shape = node["shape"] if "shape" in node else numbers(x[1])
    if not node.get("allowzero", 0):
        shape = [x[0].shape[i] if size == 0 else size for i, size in enumerate(shape)]
    return x[0].reshape(shape)


def flatten(node, x):
    axis = node.get("axis", 1) % (x[0].dim() + 1)
    return x[0].reshape(math.prod(x[0].shape[:axis]), -1)


def squeeze(node, x):
    axes, value = axes_of(node, x), x[0]
    axes = [i for i, size in enumerate(value.shape) if size == 1] if axes is None else [a % value.dim() for a in axes]
    for axis in sorted(axes, reverse=True):
        value = value.squeeze(axis)
    return value


def unsqueeze(node, x):
    axes, value = axes_of(node, x), x[0]
    for axis in sorted(axis % (value.dim() + len(axes)) for axis in axes):
        value = value.unsqueeze(axis)
    return value


def expand(node, x):
    return x[0] * torch.ones(numbers(x[1]), dtype=x[0].dtype) if x[0].dtype != torch.bool else x[0] & torch.ones(numbers(x[1]), dtype=torch.bool)


def slices(node, x):
    if "starts" in node:
        starts, ends, axes, steps = node["starts"], node["ends"], node.get("axes"), None
    else:
        starts, ends = numbers(x[1]), numbers(x[2])
        axes = numbers(x[3]) if len(x) > 3 and x[3] is not None else None
        steps = numbers(x[4]) if len(x) > 4 and x[4] is not None else None
    value = x[0]
    for i, start in enumerate(starts):
        axis = i if axes is None else axes[i]
        chosen = range(value.shape[axis])[slice(start, ends[i], 1 if steps is None else steps[i])]
        if steps is not None and steps[i] < 0 and ends[i] < -value.shape[axis]:
            chosen = range(value.shape[axis])[slice(start, None, steps[i])]
        value = value.index_select(axis, torch.tensor(list(chosen), dtype=torch.int64))
    return value


def split(node, x):
    axis = node.get("axis", 0)
    sizes = numbers(x[1]) if len(x) > 1 else node.get("split")
    if sizes is None:
        count = node.get("num_outputs", node["outputs"])
        return x[0].split(-(-x[0].shape[axis] // count), axis)
    return x[0].split(sizes, axis)


def gather(node, x):
    axis = node.get("axis", 0) % x[0].dim()
    place = x[1].long() % x[0].shape[axis]
    flat = x[0].index_select(axis, place.flatten())
    return flat.reshape([*x[0].shape[:axis], *place.shape, *x[0].shape[axis + 1 :]])


def gather_nd(node, x):
    batched, data, place = node.get("batch_dims", 0), x[0], x[1]
    if batched == 0:
        return data[tuple(place[..., i] for i in range(place.shape[-1]))]
    return torch.stack([gather_nd({**node, "batch_dims": batched - 1}, pair) for pair in zip(data, place)])


def scatter_nd(node, x):
    how, place = node.get("reduction", "none"), x[1]
    assert how in ("none", "add"), how
    return x[0].index_put(tuple(place[..., i] for i in range(place.shape[-1])), x[2], accumulate=how == "add")


def scatter_elements(node, x):
    axis, how = node.get("axis", 0), node.get("reduction", "none")
    place = x[1].long() % x[0].shape[axis]
    if how == "none":
        return x[0].scatter(axis, place, x[2])
    assert how == "add", how
    return x[0].scatter_add(axis, place, x[2])


def pad(node, x):
    rank = x[0].dim()
    pads = node["pads"] if "pads" in node else numbers(x[1])
    axes = numbers(x[3]) if len(x) > 3 and x[3] is not None else range(rank)
    fill = float(x[2]) if len(x) > 2 and x[2] is not None else node.get("value", 0.0)
    value = x[0]
    for i, axis in enumerate(axes):
        axis, before, after = axis % rank, pads[i], pads[i + len(axes)]
        size, mode = value.shape[axis], node.get("mode", "constant")
        place = torch.arange(-before, size + after)
        if mode == "constant":
            sides = [0] * 2 * (rank - 1 - axis) + [before, after]
            value = F.pad(value, sides, value=fill)
            continue
        if mode == "reflect" and size > 1:
            place = (place % (2 * size - 2)).minimum(-place % (2 * size - 2))
        elif mode == "wrap":
            place = place % size
        value = value.index_select(axis, place.clamp(0, size - 1))
    return value


def depth_to_space(node, x):
    size = node["blocksize"]
    n, c, h, w = x[0].shape
    if node.get("mode", "DCR") == "CRD":
        return x[0].reshape(n, c // size**2, size, size, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, -1, h * size, w * size)
    return x[0].reshape(n, size, size, c // size**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, -1, h * size, w * size)


def trilu(node, x):
    k = int(x[1]) if len(x) > 1 and x[1] is not None else 0
    return x[0].triu(k) if node.get("upper", 1) else x[0].tril(k)


def top_k(node, x):
    count = numbers(x[1])[0] if len(x) > 1 else node["k"]
    return tuple(x[0].topk(count, node.get("axis", -1), bool(node.get("largest", 1)), bool(node.get("sorted", 1))))
