"""Paddle models through paddle2onnx: writes ONNX files with Paddle's own gradients beside them.

Files end in logits: paddle2onnx 2.1 aborts the process on a dynamic cross-entropy.

    python scripts/model-fixtures/paddle_files.py FOLDER

Needs paddlepaddle and paddle2onnx (3.3.1 and 2.1.0 were used). `elsewhere.py FOLDER` makes fixtures of what it writes.
"""

import os
import tempfile
from pathlib import Path

os.environ["POLYGRAPHY_AUTOINSTALL_DEPS"] = "0"

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from command_line import write_chosen


class Mlp(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 12), nn.Linear(12, 12), nn.Linear(12, 5)
        self.norm = nn.LayerNorm(12)
        self.dropout = nn.Dropout(0.5)

    def forward(self, features):
        x = self.norm(F.gelu(self.first(features)))
        return self.head(self.dropout(x + F.swish(self.second(x))))


class Cnn(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first, self.first_norm = nn.Conv2D(3, 8, 3, stride=2, padding=1, bias_attr=False), nn.BatchNorm2D(8)
        self.depth, self.depth_norm = nn.Conv2D(8, 8, 3, padding=1, groups=8, bias_attr=False), nn.BatchNorm2D(8)
        self.point = nn.Conv2D(8, 8, 1)
        self.slope = nn.PReLU(8)
        self.squeeze, self.excite = nn.Conv2D(8, 4, 1), nn.Conv2D(4, 8, 1)
        self.up = nn.Conv2DTranspose(8, 6, 2, stride=2)
        self.head = nn.Linear(6, 5)

    def forward(self, image):
        x = F.max_pool2d(F.hardswish(self.first_norm(self.first(image))), 3, stride=2, padding=1)
        y = self.slope(self.point(F.relu6(self.depth_norm(self.depth(x)))))
        y = y * F.hardsigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))))
        return self.head(F.avg_pool2d(F.swish(self.up(x + y)), 2).mean([2, 3]))


class Lstm(nn.Layer):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.cell = nn.LSTM(6, 5, direction="bidirect")
        self.gru = nn.GRU(10, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, tokens):
        x, _ = self.cell(self.embedding(tokens))
        x, last = self.gru(x)
        return self.head(last[0])


models = {"mlp": (Mlp, (3, 6), 17), "cnn": (Cnn, (3, 3, 18, 18), 13), "lstm": (Lstm, (3, 7), 17)}


def settle(model):
    """Weights that differ everywhere, as multiples of 1/256."""
    generator = np.random.default_rng(5)
    for name, value in model.state_dict().items():
        old = value.numpy()
        noise = generator.standard_normal(old.shape)
        new = 0.5 + np.abs(noise) if "_variance" in name else old + (0.1 if old.ndim < 2 else 0.02) * noise
        value.set_value((np.round(new * 256) / 256).astype(np.float32))


def export(layer, specs, opset):
    """The bytes of the ONNX file; inputs and outputs keep the exporter's names."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model")
        paddle.onnx.export(layer, path, input_spec=specs, opset_version=opset, enable_onnx_checker=False, optimize_tool="None")
        return Path(f"{path}.onnx").read_bytes()


def make(name, folder):
    build, shape, opset = models[name]
    paddle.seed(3)
    model = build()
    settle(model)
    model.eval()
    generator = np.random.default_rng(7)
    whole = name == "lstm"
    values = generator.integers(0, 11, shape) if whole else np.round(generator.standard_normal(shape) * 64) / 64
    values = values.astype(np.int64 if whole else np.float32)
    if whole:
        model.train()
    logits = model(paddle.to_tensor(values))
    weighting = (np.round((0.5 + generator.random(logits.shape)) * 64) / 64).astype(np.float32)
    loss = (paddle.to_tensor(weighting) * logits * logits).sum()
    loss.backward()
    kept = {"logits": logits.numpy(), "square": loss.numpy(), "input/features": values, "weighting": weighting}
    for parameter_name, parameter in model.named_parameters():
        if parameter.grad is not None:
            kept[f"value/{parameter_name}"] = parameter.numpy()
            kept[f"square/{parameter_name}"] = parameter.grad.numpy()
    np.savez(folder / f"paddle-{name}.npz", **kept)
    model.eval()
    features = paddle.static.InputSpec([None, *shape[1:]], str(values.dtype), "features")
    (folder / f"paddle-{name}.paddle2onnx-{opset}-logits.onnx").write_bytes(export(model, [features], opset))


if __name__ == "__main__":
    write_chosen(models, make)
