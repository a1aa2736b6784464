"""Evaluates an ONNX graph with PyTorch in float64, so that autograd gives the gradient of any of its values.

The oracle for weights that exist only in the file: folded, fused or repacked by an exporter, or written by a framework
whose own gradients are out of reach. Written from the operators' specification; every use checks the values it gives
against onnxruntime, and its gradients against PyTorch's wherever a weight is also a parameter of the PyTorch model.
"""

import math

import numpy as np
import onnx
import onnx.inliner
import torch
import torch.nn.functional as F
from onnx import numpy_helper

from onnx_torch_nodes import attention, recurrent, resize, rotary_embedding

types = {
    1: torch.float64, 2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool,
    10: torch.float64, 11: torch.float64,
}  # fmt: skip


def to_torch(array):
    value = torch.from_numpy(np.array(array, copy=True))
    return value.double() if value.is_floating_point() else value


def numbers(value):
    return [int(x) for x in value.flatten().tolist()]


def axes_of(node, inputs, index=1):
    """Axes from an input, or from an attribute in older opsets."""
    if len(inputs) > index and inputs[index] is not None:
        return numbers(inputs[index])
    return node.get("axes")


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


def unsqueeze(node, x):
    axes, value = axes_of(node, x), x[0]
    for axis in sorted(axis % (value.dim() + len(axes)) for axis in axes):
        value = value.unsqueeze(axis)
    return value


def squeeze(node, x):
    axes, value = axes_of(node, x), x[0]
    axes = [i for i, size in enumerate(value.shape) if size == 1] if axes is None else [a % value.dim() for a in axes]
    for axis in sorted(axes, reverse=True):
        value = value.squeeze(axis)
    return value


def reshape(node, x):
    shape = node["shape"] if "shape" in node else numbers(x[1])
    if not node.get("allowzero", 0):
        shape = [x[0].shape[i] if size == 0 else size for i, size in enumerate(shape)]
    return x[0].reshape(shape)


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


def split(node, x):
    axis = node.get("axis", 0)
    sizes = numbers(x[1]) if len(x) > 1 else node.get("split")
    if sizes is None:
        count = node.get("num_outputs", node["outputs"])
        return x[0].split(-(-x[0].shape[axis] // count), axis)
    return x[0].split(sizes, axis)


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


def span_of(kernel, dilations, i):
    return dilations[i] * (kernel[i] - 1) + 1


def max_pool(node, x):
    return pool_windows(node, x, -math.inf).amax(-1) if not x[0].requires_grad else pool_windows(node, x, -math.inf).max(-1).values


def average_pool(node, x):
    total = pool_windows(node, x, 0.0).sum(-1)
    if node.get("count_include_pad", 0) and not node.get("ceil_mode", 0):
        return total / math.prod(node["kernel_shape"])
    return total / pool_windows(node, [torch.ones_like(x[0])], 0.0).sum(-1)


def batch_normalization(node, x):
    value, scale, bias, mean, variance = x[:5]
    if node.get("training_mode", 0) or node["outputs"] > 1:
        mean = value.transpose(0, 1).flatten(1).mean(1)
        variance = value.transpose(0, 1).flatten(1).var(1, unbiased=False)
    shape = [1, -1, *[1] * (value.dim() - 2)]
    factor = scale / (variance + node.get("epsilon", 1e-5)).sqrt()
    return value * factor.reshape(shape) + (bias - mean * factor).reshape(shape)


def layer_normalization(node, x):
    axis = node.get("axis", -1) % x[0].dim()
    over = list(range(axis, x[0].dim()))
    centred = x[0] - x[0].mean(over, keepdim=True)
    value = centred / (centred.square().mean(over, keepdim=True) + node.get("epsilon", 1e-5)).sqrt() * x[1]
    return value + x[2] if len(x) > 2 and x[2] is not None else value


def rms_normalization(node, x):
    over = list(range(node.get("axis", -1) % x[0].dim(), x[0].dim()))
    return x[0] / (x[0].square().mean(over, keepdim=True) + node.get("epsilon", 1e-5)).sqrt() * x[1]


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


def expand(node, x):
    return x[0] * torch.ones(numbers(x[1]), dtype=x[0].dtype) if x[0].dtype != torch.bool else x[0] & torch.ones(numbers(x[1]), dtype=torch.bool)


def arg(function):
    def evaluate(node, x):
        return function(x[0], node.get("axis", 0), bool(node.get("keepdims", 1)))

    return evaluate


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


def instance_normalization(node, x):
    over = list(range(2, x[0].dim()))
    centred = x[0] - x[0].mean(over, keepdim=True)
    shape = [1, -1, *[1] * len(over)]
    scaled = centred / (centred.square().mean(over, keepdim=True) + node.get("epsilon", 1e-5)).sqrt()
    return scaled * x[1].reshape(shape) + x[2].reshape(shape)


def depth_to_space(node, x):
    size = node["blocksize"]
    n, c, h, w = x[0].shape
    if node.get("mode", "DCR") == "CRD":
        return x[0].reshape(n, c // size**2, size, size, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, -1, h * size, w * size)
    return x[0].reshape(n, size, size, c // size**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, -1, h * size, w * size)


def clip(node, x):
    low = x[1] if len(x) > 1 and x[1] is not None else node.get("min")
    high = x[2] if len(x) > 2 and x[2] is not None else node.get("max")
    value = x[0]
    if low is not None:
        value = torch.maximum(value, torch.as_tensor(low, dtype=value.dtype))
    if high is not None:
        value = torch.minimum(value, torch.as_tensor(high, dtype=value.dtype))
    return value


def divide(node, x):
    return x[0] / x[1] if x[0].is_floating_point() else torch.div(x[0], x[1], rounding_mode="trunc")


def modulo(node, x):
    return torch.fmod(x[0], x[1]) if node.get("fmod", 0) else torch.remainder(x[0], x[1])


def constant(node, x):
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in node:
            value = node[name]
            return value if torch.is_tensor(value) else to_torch(np.array(value, dtype=np.float32 if "float" in name else np.int64))
    raise ValueError("Constant without a value")


def top_k(node, x):
    count = numbers(x[1])[0] if len(x) > 1 else node["k"]
    return tuple(x[0].topk(count, node.get("axis", -1), bool(node.get("largest", 1)), bool(node.get("sorted", 1))))


def cum_sum(node, x):
    axis = int(x[1])
    value = x[0].flip(axis) if node.get("reverse", 0) else x[0]
    total = value.cumsum(axis)
    total = total - value if node.get("exclusive", 0) else total
    return total.flip(axis) if node.get("reverse", 0) else total


def trilu(node, x):
    k = int(x[1]) if len(x) > 1 and x[1] is not None else 0
    return x[0].triu(k) if node.get("upper", 1) else x[0].tril(k)


def gelu(node, x):
    return F.gelu(x[0], approximate=node.get("approximate", "none"))


def cast(node, x):
    return x[0].to(types[node["to"]])


def flatten(node, x):
    axis = node.get("axis", 1) % (x[0].dim() + 1)
    return x[0].reshape(math.prod(x[0].shape[:axis]), -1)


def group_normalization(node, x):
    value = F.group_norm(x[0], node["num_groups"], eps=node.get("epsilon", 1e-5))
    shape = [1, -1, *[1] * (value.dim() - 2)]
    return value * x[1].reshape(shape) + x[2].reshape(shape)


def variadic(function):
    def evaluate(node, x):
        value = x[0]
        for other in x[1:]:
            value = function(value, other)
        return value

    return evaluate


def each(function):
    return lambda node, x: function(*x)


operators = {
    "Add": each(torch.add), "Sub": each(torch.sub), "Mul": each(torch.mul), "Div": divide, "Mod": modulo,
    "Pow": lambda node, x: x[0] ** x[1], "Neg": each(torch.neg), "Abs": each(torch.abs), "Sqrt": each(torch.sqrt),
    "Exp": each(torch.exp), "Log": each(torch.log), "Sin": each(torch.sin), "Cos": each(torch.cos),
    "Tan": each(torch.tan), "Tanh": each(torch.tanh), "Sigmoid": each(torch.sigmoid), "Erf": each(torch.erf),
    "Atan": each(torch.atan), "Floor": each(torch.floor), "Ceil": each(torch.ceil), "Round": each(torch.round),
    "Sign": each(torch.sign), "Reciprocal": each(torch.reciprocal), "Relu": each(F.relu), "Identity": lambda node, x: x[0],
    "Softplus": each(F.softplus), "Softsign": each(F.softsign), "HardSwish": each(F.hardswish), "Gelu": gelu,
    "LeakyRelu": lambda node, x: torch.where(x[0] >= 0, x[0], node.get("alpha", 0.01) * x[0]),
    "Elu": lambda node, x: F.elu(x[0], node.get("alpha", 1.0)), "Mish": each(F.mish),
    "Celu": lambda node, x: F.celu(x[0], node.get("alpha", 1.0)),
    "Selu": lambda node, x: node.get("gamma", 1.0507009873554804934193349852946)
    * F.elu(x[0], node.get("alpha", 1.6732632423543772848170429916717)),
    "HardSigmoid": lambda node, x: (node.get("alpha", 0.2) * x[0] + node.get("beta", 0.5)).clamp(0, 1),
    "PRelu": lambda node, x: torch.where(x[0] >= 0, x[0], x[0] * x[1]),
    "ThresholdedRelu": lambda node, x: torch.where(x[0] > node.get("alpha", 1.0), x[0], torch.zeros_like(x[0])),
    "Clip": clip, "Where": each(torch.where), "Cast": cast, "Dropout": lambda node, x: (x[0], None),
    "Not": each(torch.logical_not), "And": each(torch.logical_and), "Or": each(torch.logical_or),
    "Equal": each(torch.eq), "Greater": each(torch.gt), "Less": each(torch.lt), "IsNaN": each(torch.isnan),
    "GreaterOrEqual": each(torch.ge), "LessOrEqual": each(torch.le), "Max": variadic(torch.maximum),
    "Min": variadic(torch.minimum), "Sum": variadic(torch.add), "MatMul": each(torch.matmul), "Gemm": gemm,
    "Mean": lambda node, x: variadic(torch.add)(node, x) / len(x),
    "Einsum": lambda node, x: torch.einsum(node["equation"], *x),
    "Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Expand": expand,
    "Transpose": lambda node, x: x[0].permute(node.get("perm", list(range(x[0].dim()))[::-1])),
    "Concat": lambda node, x: torch.cat(x, node["axis"]), "Split": split, "Slice": slices, "Pad": pad,
    "Tile": lambda node, x: x[0].repeat(numbers(x[1])), "Gather": gather, "GatherND": gather_nd,
    "GatherElements": lambda node, x: x[0].gather(node.get("axis", 0), x[1].long() % x[0].shape[node.get("axis", 0)]),
    "ScatterND": scatter_nd, "ScatterElements": scatter_elements, "TopK": top_k, "CumSum": cum_sum, "Trilu": trilu,
    "Shape": lambda node, x: torch.tensor(x[0].shape[node.get("start", 0) : node.get("end")], dtype=torch.int64),
    "Size": lambda node, x: torch.tensor(x[0].numel()), "Constant": constant,
    "ConstantOfShape": lambda node, x: node.get("value", torch.zeros(1, dtype=torch.float64)).reshape(()).expand(numbers(x[0])).clone(),
    "CastLike": lambda node, x: x[0].to(x[1].dtype), "Attention": attention, "RotaryEmbedding": rotary_embedding,
    "EyeLike": lambda node, x: torch.eye(*x[0].shape, dtype=types[node["dtype"]] if "dtype" in node else x[0].dtype),
    "Sinh": each(torch.sinh), "Cosh": each(torch.cosh), "Asinh": each(torch.asinh), "Acosh": each(torch.acosh),
    "ReduceProd": reduction(product), "Swish": lambda node, x: x[0] * torch.sigmoid(node.get("alpha", 1.0) * x[0]),
    "Range": lambda node, x: torch.arange(x[0].item(), x[1].item(), x[2].item(), dtype=x[0].dtype),
    "ReduceSum": reduction(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceMean": reduction(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMax": reduction(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMin": reduction(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceL2": reduction(lambda x, axes, keep: x.square().sum(axes, keep).sqrt()),
    "ReduceL1": reduction(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceSumSquare": reduction(lambda x, axes, keep: x.square().sum(axes, keep)),
    "ReduceLogSumExp": reduction(lambda x, axes, keep: x.logsumexp(axes, keep)),
    "ArgMax": arg(torch.argmax), "ArgMin": arg(torch.argmin),
    "Conv": conv, "ConvTranspose": conv_transpose, "MaxPool": max_pool, "AveragePool": average_pool,
    "GlobalAveragePool": lambda node, x: x[0].mean(list(range(2, x[0].dim())), keepdim=True),
    "GlobalMaxPool": lambda node, x: x[0].amax(list(range(2, x[0].dim())), keepdim=True),
    "BatchNormalization": batch_normalization, "InstanceNormalization": instance_normalization,
    "GroupNormalization": group_normalization, "LayerNormalization": layer_normalization,
    "RMSNormalization": rms_normalization, "SoftmaxCrossEntropyLoss": cross_entropy,
    "DepthToSpace": depth_to_space, "Resize": resize, "LSTM": recurrent, "GRU": recurrent, "RNN": recurrent,
}  # fmt: skip


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
