"""A model in PyTorch, trained by fused AdamW; one line of JSON per request on standard input.

First line: {"model", "threads", "compile"} and the model's settings; answer {"parameters"}.
Then {"steps": n}; answer {"ms": [one figure per step], "loss"}.
Or {"export": path, "dynamo": bool, "opset": n}; answer {"exported": path}.
An empty line or the end of input ends it.
"""

import contextlib
import json
import sys
import time
import warnings

import torch
import torch.nn as nn
import torch.nn.functional as F


class Attention(nn.Module):
    """Queries, keys and values by three layers; keys have no bias, which softmax would cancel."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def parts(self, x):
        return self.query(x), self.key(x), self.value(x)

    def forward(self, x):
        batch, context, width = x.shape
        shape = (batch, context, self.heads, width // self.heads)
        query, key, value = (part.view(shape).transpose(1, 2) for part in self.parts(x))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.output(mixed.transpose(1, 2).reshape(x.shape))


class JointAttention(Attention):
    """The same as GPT-2 has it: one layer for queries, keys and values."""

    def __init__(self, width, heads):
        nn.Module.__init__(self)
        self.heads = heads
        self.joint = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def parts(self, x):
        return self.joint(x).split(x.shape[-1], dim=2)


class Block(nn.Module):
    def __init__(self, width, attention, approximate):
        super().__init__()
        self.approximate = approximate
        self.attention_norm = nn.LayerNorm(width)
        self.attention = attention
        self.mlp_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attention(self.attention_norm(x))
        return x + self.contract(F.gelu(self.expand(self.mlp_norm(x)), approximate=self.approximate))


class Transformer(nn.Module):
    """`gpt` is this project's gpt(); `gpt2` has a joint projection, GELU by tanh, and a tied head."""

    def __init__(self, config):
        super().__init__()
        width, heads, layers = config["width"], config["heads"], config["layers"]
        is_gpt2 = config["model"] == "gpt2"
        attention = JointAttention if is_gpt2 else Attention
        self.token = nn.Embedding(config["vocabulary"], width)
        self.position = nn.Embedding(config["context"], width)
        approximate = "tanh" if is_gpt2 else "none"
        self.blocks = nn.ModuleList(Block(width, attention(width, heads), approximate) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, config["vocabulary"], bias=False)
        if config.get("tied") or is_gpt2:
            self.head.weight = self.token.weight
        for parameter in self.parameters():
            # The exporter merges equal weights, so that none may be all zeros or all ones.
            nn.init.normal_(parameter, mean=1.0 if parameter.dim() == 1 else 0.0, std=0.02)

    def forward(self, tokens, targets):
        x = self.token(tokens) + self.position(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


class Residual(nn.Module):
    def __init__(self, inner, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or inner != channels:
            conv = nn.Conv2d(inner, channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(channels))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Resnet18(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(64)
        blocks, inner = [], 64
        for channels, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            blocks += [Residual(inner, channels, stride), Residual(channels, channels, 1)]
            inner = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(512, config["classes"])

    def forward(self, images, labels):
        x = F.max_pool2d(F.relu(self.norm(self.conv(images))), 3, 2, 1)
        return F.cross_entropy(self.head(self.blocks(x).mean((2, 3))), labels)


def text(config):
    tokens = torch.randint(0, 256, (config["batch"], config["used"]))
    return tokens, torch.roll(tokens, -1, 1)


def images(config):
    shape = (config["batch"], 3, config["height"], config["width"])
    return torch.randn(shape), torch.randint(0, config["classes"], shape[:1])


models = {"gpt": (Transformer, text), "gpt2": (Transformer, text), "resnet18": (Resnet18, images)}


def export(model, batch, request):
    names = {"input_names": ["tokens", "targets"], "output_names": ["loss"]}
    axes = {name: {0: "batch", 1: "context"} for name in names["input_names"]}
    how = {"dynamic_axes": axes, "dynamo": False}
    if request["dynamo"]:
        sizes = {0: torch.export.Dim("batch", min=2), 1: torch.export.Dim("context", min=2, max=model.position.num_embeddings)}
        how = {"dynamic_shapes": (sizes, sizes), "dynamo": True, "external_data": False, "verbose": False}
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings(action="ignore"):
        torch.onnx.export(model, batch, request["export"], opset_version=request["opset"], **names, **how)
    return {"exported": request["export"]}


def main():
    config = json.loads(sys.stdin.readline())
    torch.manual_seed(0)
    torch.set_num_threads(config["threads"])
    build, draw = models[config["model"]]
    model = build(config)
    loss_of = torch.compile(model) if config["compile"] else model
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters())}), flush=True)
    for line in sys.stdin:
        if not line.strip():
            break
        request = json.loads(line)
        if "export" in request:
            print(json.dumps(export(model, draw(config), request)), flush=True)
            continue
        times = []
        for _ in range(request["steps"]):
            start = time.perf_counter()
            loss = loss_of(*draw(config))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            value = loss.item()
            times.append((time.perf_counter() - start) * 1000)
        print(json.dumps({"ms": times, "loss": value}), flush=True)


main()
