"""The model of gpt() in PyTorch eager, trained by fused AdamW; one line of JSON per request on standard input.

First line: {"vocabulary", "context", "width", "layers", "heads", "batch", "threads"}; answer {"parameters"}.
Then {"steps": n}; answer {"ms": [one figure per step], "loss"}. An empty line or the end of input ends it.
"""

import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def split(self, x):
        batch, context, width = x.shape
        return x.view(batch, context, self.heads, width // self.heads).transpose(1, 2)

    def forward(self, x):
        y = self.attention_norm(x)
        query, key, value = (self.split(part(y)) for part in (self.query, self.key, self.value))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.output(mixed.transpose(1, 2).reshape(x.shape))
        return x + self.contract(F.gelu(self.expand(self.mlp_norm(x))))


class Gpt(nn.Module):
    def __init__(self, vocabulary, context, width, layers, heads):
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens, targets):
        x = self.token(tokens) + self.position.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))


def main():
    config = json.loads(sys.stdin.readline())
    torch.manual_seed(0)
    torch.set_num_threads(config["threads"])
    model = Gpt(*(config[key] for key in ("vocabulary", "context", "width", "layers", "heads")))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    shape = (config["batch"], config["context"])
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters())}), flush=True)
    for line in sys.stdin:
        if not line.strip():
            break
        times = []
        for _ in range(json.loads(line)["steps"]):
            start = time.perf_counter()
            tokens = torch.randint(0, 256, shape)
            targets = torch.roll(tokens, -1, 1)
            loss = model(tokens, targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            value = loss.item()
            times.append((time.perf_counter() - start) * 1000)
        print(json.dumps({"ms": times, "loss": value}), flush=True)


main()
