"""The normalizations of onnx_torch.py."""

import torch.nn.functional as F


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


def instance_normalization(node, x):
    over = list(range(2, x[0].dim()))
    centred = x[0] - x[0].mean(over, keepdim=True)
    shape = [1, -1, *[1] * len(over)]
    scaled = centred / (centred.square().mean(over, keepdim=True) + node.get("epsilon", 1e-5)).sqrt()
    return scaled * x[1].reshape(shape) + x[2].reshape(shape)


def group_normalization(node, x):
    value = F.group_norm(x[0], node["num_groups"], eps=node.get("epsilon", 1e-5))
    shape = [1, -1, *[1] * (value.dim() - 2)]
    return value * x[1].reshape(shape) + x[2].reshape(shape)
