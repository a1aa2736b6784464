"""PyTorch's loss and gradients of a case, in float64, and the files they are kept in."""

import gzip
import json
import struct

import numpy as np
import torch
from torch import nn


class WithLoss(nn.Module):
    """A model and its loss as one function: the last input holds the targets; gives (loss, logits)."""

    def __init__(self, model, loss):
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, *inputs):
        logits = self.model(*inputs[:-1])
        return self.loss(logits, inputs[-1]), logits


def build(case):
    """The case's model with weights that differ from tensor to tensor and compress well (multiples of 1/256)."""
    torch.manual_seed(1)
    model = case.build()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if not value.is_floating_point() or "inv_freq" in name:
                continue
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith("running_var"):
                value.copy_(0.5 + noise.abs())
            elif name.endswith("running_mean") or value.dim() < 2:
                value.add_(0.1 * noise)
            value.copy_((value * 256).round() / 256)
    return model


def weighting(shape):
    """What stands in for a loss where a file ends in logits: the sum of weighting × logits², over all elements."""
    values = torch.rand(shape, generator=torch.Generator().manual_seed(13))
    return ((0.5 + values) * 64).round() / 64


def coarse(value):
    """float32 with 14 bits of mantissa: relative error below 4e-5, and half the size when compressed."""
    bits = value.detach().to(torch.float32).contiguous().numpy().view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x100) & 0xFFFFFE00).astype(np.uint32)
    return torch.from_numpy(rounded.view(np.float32).reshape(tuple(value.shape)).copy())


def gradients(case, train, more=0):
    """For the loss and for the square: (logits, loss, {parameter: gradient}, square, {parameter: gradient of the square}) in float64."""
    model = build(case).double()
    model.train(train)
    inputs = [value.double() if value.is_floating_point() else value for value in case.inputs(more).values()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    answer = []
    for kind in ("loss", "square"):
        model.load_state_dict(state)
        model.zero_grad()
        logits = model(*inputs[:-1])
        loss = (
            case.loss(logits, inputs[-1])
            if kind == "loss"
            else (weighting(logits.shape).double() * logits * logits).sum()
        )
        loss.backward()
        found = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
        answer.append((logits.detach(), loss.detach(), found))
    return answer


sums = 16


def mixed(count, seed):
    """uint32 by position: a multiplicative counter through two xor-shift-multiply rounds."""
    with np.errstate(over="ignore"):
        x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed) * np.uint32(0x85EBCA77)
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x21F0AAAD)
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x735A2D97)
        return x ^ (x >> np.uint32(15))


def sketch(gradient):
    """Norm of a gradient, then sums of its elements with signs drawn by a counter.

    The mean square of the same sums of a difference is an unbiased estimate of the difference's squared norm.
    """
    values = gradient.detach().flatten().numpy()
    bits = mixed(values.size, 0)
    signed = [float((values * (2.0 * ((bits >> np.uint32(k)) & np.uint32(1)) - 1)).sum()) for k in range(sums)]
    return [float(np.linalg.norm(values)), *signed]


codes = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64", torch.int32: "I32", torch.bool: "BOOL"}


def write_tensors(path, tensors):
    """A gzipped safetensors file with the same bytes on every run."""
    header, body = {}, b""
    for name, value in tensors.items():
        data = value.detach().contiguous().numpy().tobytes()
        header[name] = {
            "dtype": codes[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }
        body += data
    text = json.dumps(header, separators=(",", ":")).encode()
    write_gzip(path, struct.pack("<Q", len(text)) + text + body)


def write_gzip(path, data):
    path.write_bytes(gzip.compress(data, 9, mtime=0))
