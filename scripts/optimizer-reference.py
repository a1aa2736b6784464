"""PyTorch's optimizers on a few small tensors: the oracle for those of @murmuration/engine.

    python scripts/optimizer-reference.py > packages/engine/test/fixtures/optimizers.json

Where the engine departs from PyTorch, this script does as the engine: weight decay of SGD is decoupled, a fresh
optimizer's first ten learning rates rise, Muon's iterations run in float32 (PyTorch makes them bfloat16), and vectors,
embeddings and output layers go through AdamW beside Muon. Needs torch (2.13 was used).
"""

import json

import torch

STEPS = 24
FRESH_STEPS = 10
CLIP_NORM = 1.5
MICRO_BATCHES = 3
WEIGHT_DECAY = 0.1

PARAMETERS = [
    {"name": "wide", "shape": [3, 5], "decays": True},
    {"name": "tall", "shape": [6, 3], "decays": True},
    {"name": "bias", "shape": [7], "decays": False},
    {"name": "embedding", "shape": [4, 3], "decays": True, "hidden": False},
    {"name": "kernel", "shape": [4, 2, 3], "decays": True},
]

MOMENTS = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8}
CASES = {
    "adamw": ({"kind": "adamw", **MOMENTS}, 1e-2),
    "sgd": ({"kind": "sgd", "momentum": 0.9, "nesterov": False}, 2e-2),
    "sgd-nesterov": ({"kind": "sgd", "momentum": 0.9, "nesterov": True}, 2e-2),
    "muon": (
        {"kind": "muon", "momentum": 0.95, "nesterov": True, "iterations": 5, "rateOfVectors": 0.3, **MOMENTS},
        2e-2,
    ),
    "muon-plain": (
        {"kind": "muon", "momentum": 0.8, "nesterov": False, "iterations": 3, "rateOfVectors": 1.5, **MOMENTS},
        2e-2,
    ),
}


def is_matrix(declaration):
    return len(declaration["shape"]) > 1 and declaration.get("hidden", True)


def adamw(tensors, settings):
    groups = [
        {"params": [t for t, d in tensors if d["decays"] == decays], "weight_decay": WEIGHT_DECAY if decays else 0}
        for decays in (True, False)
    ]
    betas = (settings["beta1"], settings["beta2"])
    return torch.optim.AdamW([g for g in groups if g["params"]], betas=betas, eps=settings["epsilon"])


class DecoupledSgd:
    def __init__(self, tensors, settings):
        self.tensors = tensors
        self.sgd = torch.optim.SGD(
            [t for t, _ in tensors], lr=1, momentum=settings["momentum"], nesterov=settings["nesterov"]
        )
        self.param_groups = self.sgd.param_groups

    @torch.no_grad()
    def step(self):
        for tensor, declaration in self.tensors:
            if declaration["decays"]:
                tensor.mul_(1 - self.param_groups[0]["lr"] * WEIGHT_DECAY)
        self.sgd.step()


def create(tensors, settings):
    """Optimizers, each with its multiple of the learning rate."""
    if settings["kind"] == "adamw":
        return [(adamw(tensors, settings), 1)]
    if settings["kind"] == "sgd":
        return [(DecoupledSgd(tensors, settings), 1)]
    matrices = [t for t, d in tensors if is_matrix(d)]
    muon = torch.optim.Muon(
        matrices,
        weight_decay=WEIGHT_DECAY,
        momentum=settings["momentum"],
        nesterov=settings["nesterov"],
        ns_steps=settings["iterations"],
    )
    others = [(t, d) for t, d in tensors if not is_matrix(d)]
    return [(muon, 1), (adamw(others, settings), settings["rateOfVectors"])]


def as_matrix(declaration, values):
    shape = declaration["shape"]
    return values.reshape(shape[0], -1) if is_matrix(declaration) else values.reshape(shape)


def flat(tensors):
    return [float(value) for tensor in tensors for value in tensor.reshape(-1)]


def run(settings, rate):
    generator = torch.Generator().manual_seed(7)
    draw = lambda shape, scale: torch.randn(shape, generator=generator) * scale
    tensors = [(torch.nn.Parameter(as_matrix(d, draw(d["shape"], 0.5))), d) for d in PARAMETERS]
    initial = flat(t.detach() for t, _ in tensors)
    optimizers = create(tensors, settings)
    gradients = []
    for step in range(1, STEPS + 1):
        for tensor, _ in tensors:
            tensor.grad = torch.zeros_like(tensor)
        for _ in range(MICRO_BATCHES):
            scale = 0.02 if step % 3 == 0 else 1
            micro_batch = [as_matrix(d, draw(d["shape"], scale)) for d in PARAMETERS]
            gradients.append(flat(micro_batch))
            for (tensor, _), gradient in zip(tensors, micro_batch):
                tensor.grad += gradient / MICRO_BATCHES
        torch.nn.utils.clip_grad_norm_([t for t, _ in tensors], CLIP_NORM)
        for optimizer, multiple in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * multiple * min(1, step / FRESH_STEPS)
            optimizer.step()
    return initial, gradients, flat(t.detach() for t, _ in tensors)


def main():
    torch.Tensor.bfloat16 = lambda tensor: tensor.clone()
    cases = {}
    for name, (settings, rate) in CASES.items():
        initial, gradients, final = run(settings, rate)
        cases[name] = {"optimizer": settings, "learningRate": rate, "final": final}
    rounded = lambda values: [float(f"{value:.9g}") for value in values]
    for case in cases.values():
        case["final"] = rounded(case["final"])
    common = {
        "parameters": PARAMETERS,
        "clipNorm": CLIP_NORM,
        "weightDecay": WEIGHT_DECAY,
        "accumulate": MICRO_BATCHES,
        "initial": rounded(initial),
        "gradients": [rounded(values) for values in gradients],
    }
    print(json.dumps({**common, "cases": cases}))


main()
