"""Multilayer perceptrons, recurrent models, and models made of the operators that move data about."""

import torch
import torch.nn.functional as F
from torch import nn


class Perceptron(nn.Module):
    """Linear layers and activations of many kinds; `dropout` between them."""

    def __init__(self, dropout=None):
        super().__init__()
        self.first = nn.Linear(6, 16)
        self.second = nn.Linear(16, 16, bias=False)
        self.norm = nn.LayerNorm(16)
        self.third = nn.Linear(16, 5)
        self.dropout = nn.Identity() if dropout is None else nn.Dropout(dropout)

    def forward(self, features):
        x = self.dropout(torch.tanh(self.first(features)))
        x = self.norm(x + self.dropout(torch.sigmoid(self.second(x))))
        return self.third(F.relu(x))


class Normalized(nn.Module):
    """Linear layers with BatchNorm1d, in the order user code often has."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 12), nn.BatchNorm1d(12), nn.LeakyReLU(),
            nn.Linear(12, 5),
        )  # fmt: skip

    def forward(self, features):
        return self.layers(features)


class Recurrent(nn.Module):
    """Embedding, two recurrent layers in both directions, a score per token."""

    def __init__(self, cell, vocabulary=11, **options):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 6)
        self.cell = cell(6, 5, num_layers=2, bidirectional=True, batch_first=True, **options)
        self.head = nn.Linear(10, vocabulary)

    def forward(self, tokens):
        hidden, state = self.cell(self.embedding(tokens))
        last = state[0] if isinstance(state, tuple) else state
        return self.head(hidden) + last.mean() + last[-1].sum(-1)[:, None, None]


class OneWay(nn.Module):
    """One layer, one direction, time first, with a given first state."""

    def __init__(self):
        super().__init__()
        self.cell = nn.LSTM(4, 5)
        self.head = nn.Linear(5, 3)

    def forward(self, series, hidden, memory):
        output, (last, _) = self.cell(series, (hidden, memory))
        return self.head(output[-1] + last[0])


class Einsums(nn.Module):
    """Contractions written as torch.einsum: bilinear forms, attention, a trace, an outer product."""

    def __init__(self):
        super().__init__()
        self.query = nn.Parameter(torch.randn(6, 2, 4))
        self.key = nn.Parameter(torch.randn(6, 2, 4))
        self.value = nn.Parameter(torch.randn(6, 2, 4))
        self.output = nn.Parameter(torch.randn(2, 4, 6))
        self.form = nn.Parameter(torch.randn(6, 6))

    def forward(self, x):
        query = torch.einsum("btc,chd->bhtd", x, self.query)
        key = torch.einsum("btc,chd->bhtd", x, self.key)
        value = torch.einsum("btc,chd->bhtd", x, self.value)
        weights = torch.einsum("bhid,bhjd->bhij", query, key).softmax(-1)
        y = torch.einsum("bhij,bhjd,hdc->bic", weights, value, self.output)
        scores = torch.einsum("btc,cd,btd->bt", x, self.form, y)
        return y * torch.einsum("bt,c->btc", scores, self.form.diagonal())


class Indexing(nn.Module):
    """Gathers, scatters, top-k, running sums, triangles, masks: the operators that move values about."""

    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(torch.randn(9, 6))
        self.weight = nn.Parameter(torch.randn(6, 6))
        self.scale = nn.Parameter(torch.randn(1, 1, 6))

    def forward(self, rows, columns):
        x = self.table[rows]
        picked = x.gather(2, columns)
        x = x + torch.zeros_like(x).scatter_add(2, columns, picked * 2.0)
        x = x.scatter(2, columns[:, :, :1], picked[:, :, :1])
        top, place = x.topk(4, dim=2)
        x = torch.cat([top, top.cumsum(2)[:, :, :2]], 2) @ (self.weight.tril() + self.weight.triu(1) * 0.5)
        x = torch.where(x > 0.2, x * self.scale.expand(x.shape[0], 1, 6), x.clamp(-1.5, 1.5))
        pairs = self.table[rows, place[:, :, 0]]
        x = x.index_put((torch.zeros_like(rows[:, 0]), rows[:, 0].argsort()), pairs[:, :1].repeat(1, 6), accumulate=True)
        x = torch.stack(torch.unbind(x, 1)[::-1], 1)
        left, right = x.split([2, 4], dim=2)
        x = torch.cat([right.roll(1, 1), left.flip(2)], 2)
        return x.masked_fill(columns.sum(2, keepdim=True) % 3 == 0, 0.25).repeat(1, 1, 2)


class Elementwise(nn.Module):
    """One of each function of one or two numbers, each with its own learned scale."""

    unary = (
        torch.exp, torch.sin, torch.cos, torch.tanh, torch.erf, torch.sigmoid, torch.abs, torch.neg, torch.atan,
        F.softplus, F.softsign, F.elu, F.selu, F.celu, F.silu, F.mish, F.hardswish,
        F.hardsigmoid, F.relu6, F.gelu, F.leaky_relu, F.logsigmoid, torch.floor, torch.round, torch.sign,
    )  # fmt: skip
    positive = (torch.log, torch.sqrt, torch.rsqrt, torch.reciprocal, torch.log1p, torch.log2)

    def __init__(self, unary=None):
        super().__init__()
        self.unary = unary or self.unary
        self.scale = nn.Parameter(torch.randn(len(self.unary) + len(self.positive), 4))
        self.other = nn.Parameter(torch.randn(4))

    def forward(self, x):
        parts = [function(x * self.scale[index]) for index, function in enumerate(self.unary)]
        base = len(self.unary)
        parts += [function(x * x * self.scale[base + i] ** 2 + 1.5) for i, function in enumerate(self.positive)]
        a, b = parts[0], parts[1] + self.other
        parts += [torch.maximum(a, b), torch.minimum(a, b), a / (b * b + 1.0), (a.abs() + 0.1) ** 2.5]
        parts += [torch.fmod(a, 2.0), torch.where(a > b, a, b), F.gelu(a, approximate="tanh"), a.pow(3)]
        y = torch.stack(parts, 1)
        reduced = [y.sum(1), y.mean(1), y.amax(1), y.amin(1), y.norm(dim=1), y.logsumexp(1), y.abs().sum(1), y.std(1)]
        return torch.cat([y, torch.stack(reduced, 1), F.log_softmax(y[:, :3], 1), y[:, 3:6].softmax(2)], 1)
