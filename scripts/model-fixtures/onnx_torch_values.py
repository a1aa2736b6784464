"""What the operators of onnx_torch.py share: ONNX's element types as PyTorch's, and values that say how to compute."""

import numpy as np
import torch

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
