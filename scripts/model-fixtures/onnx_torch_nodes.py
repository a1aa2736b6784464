"""The longer operators of onnx_torch.py: recurrent layers, attention, Resize."""

import math

import torch
import torch.nn.functional as F

activations = {"Tanh": torch.tanh, "Sigmoid": torch.sigmoid, "Relu": F.relu}


def lstm_step(x, hidden, cell, w, r, bias, peephole, functions):
    gates = x @ w.T + hidden @ r.T + bias
    i, o, f, c = gates.chunk(4, -1)
    pi, po, pf = peephole.chunk(3, -1)
    i, f = functions[0](i + pi * cell), functions[0](f + pf * cell)
    cell = f * cell + i * functions[1](c)
    return functions[0](o + po * cell) * functions[2](cell), cell


def gru_step(x, hidden, w, r, wb, rb, after, functions):
    width = hidden.shape[-1]
    zr = functions[0](x @ w[: 2 * width].T + hidden @ r[: 2 * width].T + wb[: 2 * width] + rb[: 2 * width])
    z, reset = zr.chunk(2, -1)
    w, r, wb, rb = w[2 * width :], r[2 * width :], wb[2 * width :], rb[2 * width :]
    new = x @ w.T + wb + (reset * (hidden @ r.T + rb) if after else (reset * hidden) @ r.T + rb)
    return (1 - z) * functions[1](new) + z * hidden


def one_direction(node, x, index, width, functions, reverse):
    """(Y of [time, batch, width], last hidden, last cell) of one direction."""
    steps, count = x[0].shape[0], x[0].shape[1]
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[node["type"]] * width
    get = lambda i: x[i][index] if len(x) > i and x[i] is not None else None
    w, r, bias = get(1), get(2), get(3)
    zero = torch.zeros(count, width, dtype=torch.float64)
    wb, rb = (bias[:gates], bias[gates:]) if bias is not None else (torch.zeros(gates, dtype=torch.float64),) * 2
    lengths = x[4].long() if len(x) > 4 and x[4] is not None else torch.full((count,), steps)
    hidden = get(5) if get(5) is not None else zero
    cell = get(6) if node["type"] == "LSTM" and get(6) is not None else zero
    peephole = get(7) if get(7) is not None else torch.zeros(3 * width, dtype=torch.float64)
    outputs = [None] * steps
    for step in range(steps)[:: -1 if reverse else 1]:
        if node["type"] == "LSTM":
            new, memory = lstm_step(x[0][step], hidden, cell, w, r, wb + rb, peephole, functions)
        elif node["type"] == "GRU":
            new = gru_step(x[0][step], hidden, w, r, wb, rb, node.get("linear_before_reset", 0), functions)
            memory = cell
        else:
            new, memory = functions[0](x[0][step] @ w.T + hidden @ r.T + wb + rb), cell
        alive = (step < lengths)[:, None]
        outputs[step] = torch.where(alive, new, zero)
        hidden, cell = torch.where(alive, new, hidden), torch.where(alive, memory, cell)
    return torch.stack(outputs), hidden, cell


def recurrent(node, x):
    """LSTM, GRU, RNN; outputs Y, Y_h, Y_c."""
    if node.get("layout", 0):
        raise ValueError("layout 1 is not used by exporters")
    width = node["hidden_size"]
    direction = node.get("direction", "forward")
    count = 2 if direction == "bidirectional" else 1
    usual = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}[node["type"]]
    names = node.get("activations", usual * count)
    size = len(usual)
    parts = []
    for index in range(count):
        functions = [activations[name.capitalize()] for name in names[index * size : (index + 1) * size]]
        reverse = index == 1 or direction == "reverse"
        parts.append(one_direction(node, x, index, width, functions, reverse))
    return tuple(torch.stack(values, 1 if i == 0 else 0) for i, values in enumerate(zip(*parts)))


def coordinates(out, size, scale, mode):
    place = torch.arange(out, dtype=torch.float64)
    if mode == "align_corners":
        return place * (size - 1) / max(out - 1, 1)
    if mode == "asymmetric":
        return place / scale
    if mode == "pytorch_half_pixel" and out == 1:
        return torch.zeros(1, dtype=torch.float64)
    return (place + 0.5) / scale - 0.5


def resize_axis(value, axis, out, scale, node):
    size = value.shape[axis]
    place = coordinates(out, size, scale, node.get("coordinate_transformation_mode", "half_pixel"))
    mode = node.get("mode", "nearest")
    if mode == "nearest":
        rounding = {
            "round_prefer_floor": lambda p: torch.ceil(p - 0.5),
            "round_prefer_ceil": lambda p: torch.floor(p + 0.5),
            "floor": torch.floor,
            "ceil": torch.ceil,
        }[node.get("nearest_mode", "round_prefer_floor")]
        return value.index_select(axis, rounding(place).long().clamp(0, size - 1))
    low = torch.floor(place)
    if mode == "linear":
        taps = [(0, 1 - (place - low)), (1, place - low)]
    else:
        a, t = node.get("cubic_coeff_a", -0.75), place - low
        near = lambda d: ((a + 2) * d - (a + 3)) * d * d + 1
        far = lambda d: ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        taps = [(-1, far(t + 1)), (0, near(t)), (1, near(1 - t)), (2, far(2 - t))]
    shape = [1] * value.dim()
    shape[axis] = out
    return sum(
        value.index_select(axis, (low + shift).long().clamp(0, size - 1)) * weight.reshape(shape)
        for shift, weight in taps
    )


def resize(node, x):
    """Resize of opset 10 and later, and what Upsample was: nearest, linear, cubic without antialiasing."""
    if node.get("antialias", 0):
        raise ValueError("antialias is not evaluated")
    rank = x[0].dim()
    axes = node.get("axes", list(range(rank)))
    old = len(x) == 2
    scales = x[1] if old else (x[2] if len(x) > 2 else None)
    value = x[0]
    settings = {**node, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} if old else node
    for i, axis in enumerate(axes):
        size = value.shape[axis]
        if len(x) > 3 and x[3] is not None:
            out = int(x[3][i])
            scale = out / size
        else:
            scale = float(scales[i])
            out = math.floor(size * scale)
        if out != size or scale != 1:
            value = resize_axis(value, axis, out, scale, settings)
    return value


def attention(node, x):
    """Attention of opset 23, four-dimensional, without a past."""
    query, key, value = x[:3]
    if query.dim() != 4 or len(x) > 4:
        raise ValueError("only four-dimensional Attention without a past is evaluated")
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = query @ key.transpose(-1, -2) * node.get("scale", query.shape[-1] ** -0.5)
    if len(x) > 3 and x[3] is not None:
        scores = scores.masked_fill(~x[3], -math.inf) if x[3].dtype == torch.bool else scores + x[3]
    if node.get("is_causal", 0):
        scores = scores.masked_fill(torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), -math.inf)
    if node.get("softcap", 0.0):
        scores = node["softcap"] * torch.tanh(scores / node["softcap"])
    return scores.softmax(-1) @ value


def rotary_embedding(node, x):
    """RotaryEmbedding of opset 23, four-dimensional, with caches by position that broadcast over the batch."""
    value, cosine, sine = x[:3]
    if value.dim() != 4 or len(x) > 3 or node.get("interleaved", 0) or node.get("rotary_embedding_dim", 0):
        raise ValueError("only the form that PyTorch writes is evaluated")
    left, right = value.chunk(2, -1)
    cosine, sine = cosine.unsqueeze(1), sine.unsqueeze(1)
    return torch.cat([left * cosine - right * sine, right * cosine + left * sine], -1)
