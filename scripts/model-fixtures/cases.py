"""The list of models: how each is built, what it is fed, and in which ways it is exported."""

from dataclasses import dataclass
from typing import Callable

import torch
import torch.nn.functional as F
from torch import nn

import language
import sequence
import vision


@dataclass(frozen=True)
class Export:
    """One way to write a model: an exporter, an opset, and whether as a user would (`plain` keeps every weight)."""

    exporter: str
    opset: int
    plain: bool = False
    loss: bool = True
    train: bool = False

    @property
    def name(self):
        parts = [self.exporter, str(self.opset)]
        parts += ["plain"] * self.plain + ["train"] * self.train
        return "-".join(parts + ["logits"] * (not self.loss))


@dataclass(frozen=True)
class Case:
    """A model, its inputs by name, the axes that stay symbolic, its loss of (logits, targets), and its exports.

    `inputs(0)` are those of the export, `inputs(1)` others whose symbolic axes have other sizes.

    `unrunnable` names exports that onnxruntime refuses although they are valid ONNX and mean what PyTorch computes.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[int], dict]
    axes: dict
    loss: Callable
    exports: tuple
    unrunnable: tuple = ()


def script(*opsets, **options):
    return tuple(Export("script", opset, **options) for opset in opsets)


def dynamo(*opsets, **options):
    return tuple(Export("dynamo", opset, **options) for opset in opsets)


usual = script(13, 17) + dynamo(18, 20, 23) + dynamo(20, plain=True)
batch = {0: "batch"}
both = {0: "batch", 1: "sequence"}


def normal(*shape, seed=7):
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return (values * 64).round() / 64


def classes(count, *shape, seed=11):
    return torch.randint(0, count, shape, generator=torch.Generator().manual_seed(seed))


def cross_entropy(logits, targets):
    return F.cross_entropy(logits, targets)


def smoothed(logits, targets):
    """Cross-entropy with label smoothing, by hand: exportable at every opset."""
    scores = F.log_softmax(logits, -1)
    picked = scores.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return -(0.9 * picked + 0.1 * scores.mean(-1)).mean()


def image_case(name, build, size, exports, count=4):
    return Case(
        name,
        build,
        lambda more: {"image": normal(count + more, 3, size, size), "targets": classes(5, count + more)},
        {"image": batch, "targets": batch},
        cross_entropy,
        exports,
    )


def token_case(name, build, length, exports, **options):
    return Case(
        name,
        build,
        lambda more: {
            "tokens": language.tokens(2 + more, length + more, 3),
            "targets": language.tokens(2 + more, length + more, 4),
        },
        {"tokens": both, "targets": both},
        language.next_token,
        exports,
        **options,
    )


def recurrent_case(name, cell, exports, **options):
    return Case(
        name,
        lambda: sequence.Recurrent(cell, **options),
        lambda more: {
            "tokens": classes(11, 3 + more, 6 - more, seed=1),
            "targets": classes(11, 3 + more, 6 - more, seed=2),
        },
        {"tokens": both, "targets": both},
        lambda logits, targets: F.cross_entropy(logits.reshape(-1, 11), targets.reshape(-1)),
        exports,
    )


def masked_inputs(more):
    mask = torch.ones(2 + more, 8 + more, dtype=torch.int64)
    mask[1, 5:] = 0
    targets = language.tokens(2 + more, 8 + more, 4)
    targets[0, ::2] = -100
    targets[1, 5:] = -100
    return {"tokens": language.tokens(2 + more, 8 + more, 3), "attention_mask": mask, "targets": targets}


def masked_case(name, build, exports):
    return Case(
        name,
        build,
        masked_inputs,
        {"tokens": both, "attention_mask": both, "targets": both},
        language.masked_token,
        exports,
    )


def features(case_exports, name, build, loss=cross_entropy):
    return Case(
        name,
        build,
        lambda more: {"features": normal(7 + more, 6), "targets": classes(5, 7 + more)},
        {"features": batch, "targets": batch},
        loss,
        case_exports,
    )


trained = script(9, 17, train=True, loss=False) + script(13, train=True)
kept = trained + dynamo(20, plain=True)
folded = script(17) + dynamo(18, 23)

cases = [
    features(script(9, 11, loss=False) + script(13, 20) + dynamo(18, 20, 23), "mlp", sequence.Perceptron, smoothed),
    features(script(13, 17, loss=False) + dynamo(20, loss=False), "mlp-logits", sequence.Perceptron),
    features(
        script(13, train=True) + script(17) + dynamo(20, train=True) + dynamo(20),
        "dropout",
        lambda: sequence.Perceptron(dropout=0.0),
    ),
    features(kept + folded, "batch-norm", sequence.Normalized),
    image_case("convnet", vision.ConvNet, 17, script(11, loss=False) + usual),
    image_case("resnet18", vision.NarrowResNet18, 40, kept + folded),
    image_case("mobilenet-v2", vision.mobilenet_v2, 32, kept + folded),
    image_case("mobilenet-v3", vision.mobilenet_v3, 32, kept + folded),
    Case(
        "unet",
        vision.SmallUNet,
        lambda more: {"image": normal(2 + more, 2, 12, 16), "targets": (normal(2 + more, 1, 24, 32, seed=5) > 0).float()},
        {"image": batch, "targets": batch},
        F.binary_cross_entropy_with_logits,
        script(11, loss=False) + script(13, 17) + dynamo(18, 20, 23),
    ),
    token_case("gpt2", language.gpt2, 8, dynamo(18, 20, 23)),
    token_case("gpt2-sdpa", lambda: language.gpt2("sdpa"), 8, dynamo(18, 23)),
    masked_case("gpt2-masked", lambda: language.gpt2(wrap=language.MaskedCausal), script(14, 17) + dynamo(20)),
    token_case("llama", language.llama, 8, dynamo(18, 20, 23), unrunnable=("dynamo-23",)),
    masked_case("llama-masked", lambda: language.llama(wrap=language.MaskedCausal), script(14, 17) + dynamo(20)),
    token_case("llama-sdpa", lambda: language.llama("sdpa"), 8, dynamo(20, 23), unrunnable=("dynamo-23",)),
    masked_case("bert", language.bert, script(13, 17) + dynamo(18, 20, 23)),
    image_case("vit", lambda: language.vit(), 12, script(13, 17) + dynamo(18, 20, 23), 2),
    Case(
        "t5",
        language.t5,
        lambda more: {
            "tokens": language.tokens(2 + more, 7 + more, 3),
            "answer": language.tokens(2 + more, 5 - more, 4),
            "targets": language.tokens(2 + more, 5 - more, 6),
        },
        {"tokens": both, "answer": {0: "batch", 1: "answered"}, "targets": {0: "batch", 1: "answered"}},
        language.next_token,
        script(17) + dynamo(18, 20, 23),
    ),
    recurrent_case("lstm", nn.LSTM, script(11, 13, 17, loss=False) + script(17) + dynamo(20, 23)),
    recurrent_case("gru", nn.GRU, script(13, 17) + dynamo(20)),
    recurrent_case("rnn-tanh", nn.RNN, script(17) + dynamo(20)),
    recurrent_case("rnn-relu", nn.RNN, script(17), nonlinearity="relu"),
    Case(
        "lstm-one-way",
        sequence.OneWay,
        lambda more: {
            "series": normal(6 + more, 3 + more, 4),
            "hidden": normal(1, 3 + more, 5, seed=8),
            "memory": normal(1, 3 + more, 5, seed=9),
            "targets": classes(3, 3 + more),
        },
        {"series": {0: "sequence", 1: "batch"}, "hidden": {1: "batch"}, "memory": {1: "batch"}, "targets": batch},
        cross_entropy,
        script(13, 17) + dynamo(20),
    ),
    Case(
        "einsum",
        sequence.Einsums,
        lambda more: {"x": normal(2 + more, 5 + more, 6), "targets": normal(2 + more, 5 + more, 6, seed=8)},
        {"x": both, "targets": both},
        F.mse_loss,
        script(13, 17) + dynamo(18, 20),
    ),
    Case(
        "indexing",
        sequence.Indexing,
        lambda more: {
            "rows": classes(9, 3 + more, 4, seed=1),
            "columns": torch.stack([torch.randperm(6, generator=torch.Generator().manual_seed(s))[:3] for s in range(12 + 4 * more)]).view(-1, 4, 3),
            "targets": normal(3 + more, 4, 12),
        },
        {"rows": batch, "columns": batch, "targets": batch},
        F.mse_loss,
        script(14, 17) + dynamo(18, 20, 23),
    ),
    Case(
        "elementwise",
        sequence.Elementwise,
        lambda more: {"x": normal(3 + more, 4), "targets": normal(3 + more, 53, 4, seed=8)},
        {"x": batch, "targets": batch},
        F.mse_loss,
        script(13, 18) + dynamo(18, 20, 23, plain=True),
    ),
    Case(
        "hyperbolic",
        lambda: sequence.Elementwise((torch.sinh, torch.cosh, torch.asinh, torch.tan, torch.expm1, torch.ceil)),
        lambda more: {"x": normal(3 + more, 4), "targets": normal(3 + more, 34, 4, seed=8)},
        {"x": batch, "targets": batch},
        F.mse_loss,
        dynamo(18, 20, 23, plain=True),
    ),
]
