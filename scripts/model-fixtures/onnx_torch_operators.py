"""The operators of onnx_torch.py by name: each takes a node's attributes and its inputs."""

import torch
import torch.nn.functional as F

from onnx_torch_arithmetic import (
    arg, cast, clip, constant, cross_entropy, cum_sum, divide, each, gelu, gemm, modulo, product, reduction, variadic,
)  # fmt: skip
from onnx_torch_indexing import (
    depth_to_space, expand, flatten, gather, gather_nd, pad, reshape, scatter_elements, scatter_nd, slices, split,
    squeeze, top_k, trilu, unsqueeze,
)  # fmt: skip
from onnx_torch_nodes import attention, recurrent, resize, rotary_embedding
from onnx_torch_normalization import (
    batch_normalization, group_normalization, instance_normalization, layer_normalization, rms_normalization,
)  # fmt: skip
from onnx_torch_values import numbers, types
from onnx_torch_windows import average_pool, conv, conv_transpose, max_pool

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
