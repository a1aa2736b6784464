"""PyTorch's recurrent networks: the oracle for the lowering of RNN, GRU and LSTM and for the gradient of Scan.

    python scripts/recurrent-reference.py > packages/autodiff/test/fixtures/recurrent-gradients.json

Two layers, both directions; weights and gradients are written in the order in which ONNX has the gates. The loss is the
mean square of the outputs plus the mean square of all last states. Needs torch (2.15 was used).
"""

import json
import sys

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

LENGTH, BATCH, WIDTH, HIDDEN, LAYERS = 4, 3, 2, 3, 2

# ONNX's order of gates, as positions in PyTorch's: LSTM has i f g o there and i o f c here; GRU r z n and z r h.
GATES = {"RNN": [0], "GRU": [1, 0, 2], "LSTM": [0, 3, 1, 2]}
NETWORKS = {"RNN": torch.nn.RNN, "GRU": torch.nn.GRU, "LSTM": torch.nn.LSTM}


def onnx_weights(operator, values, layer):
    """W, R and B of one layer, both directions stacked; `values` maps PyTorch's names to tensors."""

    def reorder(value):
        return torch.cat([value.view(-1, HIDDEN, *value.shape[1:])[gate] for gate in GATES[operator]])

    def both(kind):
        return torch.stack([reorder(values[f"{kind}_l{layer}{suffix}"]) for suffix in ("", "_reverse")])

    return {"W": both("weight_ih"), "R": both("weight_hh"), "B": torch.cat([both("bias_ih"), both("bias_hh")], dim=1)}


def flat(tensor):
    return {"shape": list(tensor.shape), "values": [float(f"{value:.8g}") for value in tensor.flatten().tolist()]}


def case(operator, lengths):
    network = NETWORKS[operator](WIDTH, HIDDEN, num_layers=LAYERS, bidirectional=True)
    x = torch.randn(LENGTH, BATCH, WIDTH, requires_grad=True)
    given = x if lengths is None else pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
    y, state = network(given)
    if lengths is not None:
        y, _ = pad_packed_sequence(y, total_length=LENGTH)
    states = state if operator == "LSTM" else (state,)
    loss = y.square().mean() + sum(each.square().mean() for each in states)
    loss.backward()
    values = {name: value.detach() for name, value in network.named_parameters()}
    gradients = {name: value.grad for name, value in network.named_parameters()}

    def named(source, first):
        layers = [onnx_weights(operator, source, layer) for layer in range(LAYERS)]
        entries = {f"{kind}{index}": value for index, layer in enumerate(layers) for kind, value in layer.items()}
        return {name: flat(value) for name, value in {"x": first, **entries}.items()}

    return {
        "operator": operator,
        **({} if lengths is None else {"lengths": lengths}),
        "loss": loss.item(),
        "inputs": named(values, x.detach()),
        "gradients": named(gradients, x.grad),
    }


def main():
    torch.manual_seed(23)
    torch.set_default_dtype(torch.float64)
    cases = [case(operator, lengths) for operator in GATES for lengths in (None, [4, 2, 3])]
    answer = {"made": f"scripts/recurrent-reference.py, torch {torch.__version__}, float64", "cases": cases}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
