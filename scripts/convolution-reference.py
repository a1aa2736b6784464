"""Convolutions, poolings and batch normalization in PyTorch: the oracle for their values and gradients.

    python scripts/convolution-reference.py > packages/autodiff/test/fixtures/convolution-gradients.json

Each case is one ONNX node; the loss is the sum of its output times `weight`. Needs torch (2.13 was used).
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)


def values(tensor):
    return {"shape": list(tensor.shape), "values": [float(f"{value:.7g}") for value in tensor.flatten().tolist()]}


def case(name, operator, attributes, inputs, compute, state=()):
    """`state` names the inputs that PyTorch updates in place instead of differentiating."""
    leaves = [tensor.requires_grad_(key not in state) for key, tensor in inputs.items()]
    before = {key: values(tensor) for key, tensor in inputs.items()}
    output = compute(*leaves)
    weight = torch.randn_like(output)
    (output * weight).sum().backward()
    return {
        "name": name,
        "operator": operator,
        "attributes": attributes,
        "inputs": before,
        "weight": values(weight.detach()),
        "loss": (output * weight).sum().item(),
        "gradients": {key: values(tensor.grad) for key, tensor in inputs.items() if key not in state},
        "updated": {key: values(inputs[key]) for key in state},
    }


def batch_norm(shape, momentum):
    channels = shape[1]
    inputs = {
        "x": torch.randn(shape) * 2 + 1,
        "scale": torch.randn(channels),
        "bias": torch.randn(channels),
        "mean": torch.randn(channels),
        "variance": torch.rand(channels) + 0.5,
    }
    return case(
        f"training on {shape}",
        "BatchNormalization",
        {"training_mode": 1, "momentum": 1 - momentum, "epsilon": 1e-5},
        inputs,
        lambda x, scale, bias, mean, variance: F.batch_norm(x, mean, variance, scale, bias, True, momentum, 1e-5),
        ("mean", "variance"),
    )


def transposed(name, x, weight, attributes, **options):
    inputs = {"x": torch.randn(x), "kernel": torch.randn(weight), "bias": torch.randn(weight[1] * options.get("groups", 1))}
    return case(name, "ConvTranspose", attributes, inputs, lambda *leaves: F.conv_transpose2d(*leaves, **options))


def max_pool(name, shape, attributes, *window, **options):
    return case(name, "MaxPool", attributes, {"x": torch.randn(shape)}, lambda x: F.max_pool2d(x, *window, **options))


print(
    json.dumps(
        [
            batch_norm([6, 3], 0.1),
            batch_norm([4, 3, 5], 0.3),
            batch_norm([3, 2, 4, 3], 0.1),
            transposed(
                "strides and output padding",
                [2, 3, 4, 5],
                [3, 2, 3, 3],
                {"strides": [2, 3], "pads": [1, 1, 1, 1], "output_padding": [1, 2]},
                stride=(2, 3),
                padding=1,
                output_padding=(1, 2),
            ),
            transposed(
                "groups and dilations",
                [2, 4, 5, 4],
                [4, 3, 3, 2],
                {"group": 2, "dilations": [2, 1], "pads": [2, 0, 2, 0]},
                groups=2,
                dilation=(2, 1),
                padding=(2, 0),
            ),
            max_pool(
                "ceil_mode",
                [2, 2, 8, 7],
                {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1},
                (3, 2),
                (2, 2),
                ceil_mode=True,
            ),
            max_pool(
                "ceil_mode, pads and dilations",
                [1, 2, 11, 9],
                {"kernel_shape": [3, 3], "strides": [2, 3], "pads": [1, 1, 1, 1], "dilations": [2, 1], "ceil_mode": 1},
                3,
                (2, 3),
                1,
                (2, 1),
                ceil_mode=True,
            ),
        ]
    )
)
