"""PyTorch's gradients where functions have kinks, ties, bounds and poles: the oracle for what gradient rules do there.

    python scripts/kinks-reference.py > packages/autodiff/test/fixtures/kinks.json

Every case is one ONNX operator with its attributes, its inputs, and the gradients of sum(y * [1, 2, 3, ...]) by the
inputs that are float. Numbers that JSON does not have are the texts "Infinity", "-Infinity" and "NaN".

Needs torch (2.13 was used).
"""

import json
import math

import torch
import torch.nn.functional as F

KINKS = [-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0]
NAN = math.nan

CASES = []


def case(operator, compute, inputs, note="", attributes=None, constants=()):
    """`inputs` are floats that need gradients, or integer and boolean tensors; `constants` floats that need none."""
    tensors = []
    for index, values in enumerate(inputs):
        tensor = torch.as_tensor(values)
        if tensor.dtype.is_floating_point:
            tensor = tensor.to(torch.float32).requires_grad_(index not in constants)
        tensors.append(tensor)
    result = compute(*tensors)
    weights = torch.arange(1, result.numel() + 1, dtype=torch.float32).reshape(result.shape)
    (result * weights).sum().backward()
    CASES.append(
        {
            "operator": operator,
            "note": note,
            "attributes": attributes or {},
            "inputs": [
                {"type": kind(tensor), "shape": list(tensor.shape), "values": numbers(tensor)} for tensor in tensors
            ],
            "gradients": [numbers(tensor.grad) if tensor.requires_grad else None for tensor in tensors],
        }
    )


def kind(tensor):
    return {torch.float32: "float32", torch.int64: "int64", torch.bool: "bool"}[tensor.dtype]


def numbers(tensor):
    def plain(value):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return value

    return [plain(float(value)) for value in tensor.detach().flatten()]


def elementwise():
    case("Abs", torch.abs, [KINKS])
    case("Sqrt", torch.sqrt, [[0.0, 1.0, 4.0]])
    case("Reciprocal", torch.reciprocal, [[0.0, 2.0]])
    case("Log", torch.log, [[0.0, 2.0]])
    case("Relu", F.relu, [KINKS])
    case("LeakyRelu", lambda x: F.leaky_relu(x, 0.25), [KINKS], attributes={"alpha": 0.25})
    case("PRelu", F.prelu, [KINKS, [0.25]])
    case("Elu", lambda x: F.elu(x, 0.5), [KINKS], attributes={"alpha": 0.5})
    case("Selu", F.selu, [KINKS])
    case("Celu", lambda x: F.celu(x, 0.5), [KINKS], attributes={"alpha": 0.5})
    case("HardSigmoid", F.hardsigmoid, [KINKS], attributes={"alpha": 1 / 6, "beta": 0.5})
    case("HardSwish", F.hardswish, [[-4.0, -1.0, 0.0, 1.0, 4.0]])
    case("ThresholdedRelu", lambda x: F.threshold(x, 1.0, 0.0), [KINKS], attributes={"alpha": 1.0})
    case("Shrink", lambda x: F.hardshrink(x, 0.5), [KINKS], attributes={"lambd": 0.5})
    case("Softsign", F.softsign, [KINKS])
    case("Clip", torch.clamp, [KINKS, -0.5, 1.0])
    case("Clip", torch.clamp, [[-3.0, 0.0, 3.0], 1.0, -0.5], note="crossed bounds")
    case("Mod", torch.fmod, [[-3.0, -1.0, 0.5, 3.0], [2.0, -0.5, 2.0, -2.0]], attributes={"fmod": 1})
    bases, exponents = [0.0, 0.0, 0.0, -2.0, 2.0, 0.0], [0.0, 1.0, 2.0, 3.0, 0.0, 0.5]
    case("Pow", torch.pow, [bases, exponents])
    for exponent in [0.0, 0.5, 1.0, 2.0, 3.0, -1.0, 2.5]:
        case("Pow", torch.pow, [[0.0, 1.0, 4.0], exponent], note=f"constant {exponent}", constants=(1,))
    case("Where", torch.where, [[True, False, True], [1.0, NAN, 2.0], [NAN, 3.0, NAN]], note="not a number elsewhere")


def ties():
    case("Max", torch.maximum, [[0.0, 1.0, 2.0], [0.0, 2.0, 1.0]])
    case("Min", torch.minimum, [[0.0, 1.0, 2.0], [0.0, 2.0, 1.0]])
    case("ReduceMax", lambda x, axes: x.amax(1), [[[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]], [1]], attributes={"keepdims": 0})
    case("ReduceMin", lambda x, axes: x.amin(1), [[[1.0, 0.0, 0.0], [2.0, 2.0, 2.0]], [1]], attributes={"keepdims": 0})


def reductions():
    rows = [[0.0, 0.0, 0.0], [3.0, 0.0, -4.0]]
    keep = {"keepdims": 0}
    case("ReduceL2", lambda x, axes: torch.linalg.vector_norm(x, 2, 1), [rows, [1]], "zero vector", keep)
    case("ReduceL1", lambda x, axes: torch.linalg.vector_norm(x, 1, 1), [rows, [1]], "zeros", keep)
    products = [[2.0, 0.0, 3.0], [0.0, 5.0, 0.0], [1.0, 2.0, 3.0]]
    case("ReduceProd", lambda x, axes: x.prod(1), [products, [1]], "zeros", keep)
    case("ReduceLogSumExp", lambda x, axes: x.logsumexp(1), [[[1000.0, 1000.0], [-1000.0, 0.0]], [1]], "large", keep)
    case("LogSoftmax", lambda x: x.log_softmax(1), [[[1000.0, 0.0, -1000.0]]], "large", {"axis": 1})
    case("Softmax", lambda x: x.softmax(1), [[[1000.0, 1000.0, -math.inf]]], "masked", {"axis": 1})


def scatters():
    data, index = [[1.0, 2.0, 0.0, 4.0]], [[0, 0, 2, 2, 3]]
    updates = [[1.0, 3.0, 0.0, 5.0, 4.0]]
    for reduction, name in [("add", "sum"), ("mul", "prod"), ("max", "amax"), ("min", "amin")]:
        case(
            "ScatterElements",
            lambda x, i, u, name=name: x.scatter_reduce(1, i, u, name, include_self=True),
            [data, index, updates],
            reduction,
            {"axis": 1, "reduction": reduction},
        )


def losses():
    scores, labels = [[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]], [2, -100]
    for reduction in ["mean", "sum", "none"]:
        case(
            "SoftmaxCrossEntropyLoss",
            lambda x, y, reduction=reduction: F.cross_entropy(x, y, reduction=reduction),
            [scores, labels],
            f"{reduction}, ignored",
            {"reduction": reduction, "ignore_index": -100},
        )
        case(
            "SoftmaxCrossEntropyLoss",
            lambda x, y, w, reduction=reduction: F.cross_entropy(x, y, w, reduction=reduction),
            [scores, labels, [0.5, 2.0, 3.0]],
            f"{reduction}, ignored, weights",
            {"reduction": reduction, "ignore_index": -100},
            constants=(2,),
        )


elementwise()
ties()
reductions()
scatters()
losses()
print(json.dumps({"made": f"scripts/kinks-reference.py with torch {torch.__version__}", "cases": CASES}))
