"""The transformer of @murmuration/onnx in PyTorch: the oracle for its loss and gradients.

Reads a request made by packages/autodiff/test/gpt-fixture.ts (parameters, tokens) and writes loss and gradients:

    node --conditions=murmuration-source packages/autodiff/test/gpt-fixture.ts request > request.json
    python scripts/gpt-reference.py request.json > packages/autodiff/test/fixtures/gpt-gradients.json

Needs torch (2.13 was used).
"""

import json
import math
import sys

import torch
import torch.nn.functional as F


def gpt_loss(config, parameters, tokens, targets):
    """Mean nats per token; `parameters` maps the names of gpt(config)'s inputs to tensors."""
    width, heads = config["width"], config["heads"]
    batch, context = tokens.shape
    p = parameters

    def linear(name, x):
        return F.linear(x, p[f"{name}.weight"].T, p.get(f"{name}.bias"))

    def norm(name, x):
        return F.layer_norm(x, (width,), p[f"{name}.gain"], p[f"{name}.bias"], 1e-5)

    def split(x):
        return x.view(batch, context, heads, width // heads).transpose(1, 2)

    x = p["embedding.token"][tokens] + p["embedding.position"][:context]
    for layer in range(config["layers"]):
        name = f"layer.{layer}"
        h = norm(f"{name}.attention.norm", x)
        query, key, value = (split(linear(f"{name}.attention.{part}", h)) for part in ("query", "key", "value"))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + linear(f"{name}.attention.output", mixed.transpose(1, 2).reshape(batch, context, width))
        h = F.gelu(linear(f"{name}.mlp.expand", norm(f"{name}.mlp.norm", x)))
        x = x + linear(f"{name}.mlp.contract", h)
    scores = linear("head", norm("norm", x))
    return F.cross_entropy(scores.view(-1, config["vocabulary"]), targets.reshape(-1))


def main():
    with open(sys.argv[1]) as file:
        request = json.load(file)
    torch.set_default_dtype(torch.float64)
    parameters = {
        entry["name"]: torch.tensor(entry["values"]).view(entry["shape"]).requires_grad_()
        for entry in request["parameters"]
    }
    loss = gpt_loss(
        request["config"], parameters, torch.tensor(request["tokens"]), torch.tensor(request["targets"])
    )
    loss.backward()
    digits = lambda values: [float(f"{value:.7g}") for value in values.flatten().tolist()]
    answer = {
        "made": f"scripts/gpt-reference.py, torch {torch.__version__}, float64",
        "config": request["config"],
        "seed": request["seed"],
        "tokens": request["tokens"],
        "targets": request["targets"],
        "loss": loss.item(),
        "gradients": {name: digits(value.grad) for name, value in parameters.items()},
    }
    assert math.isfinite(answer["loss"])
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
