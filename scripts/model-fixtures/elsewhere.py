"""Makes fixtures of ONNX files that Keras and Paddle wrote.

    python scripts/model-fixtures/elsewhere.py FOLDER

FOLDER holds what keras_files.py and paddle_files.py wrote: `<case>.npz` (inputs, logits, weights and the framework's
gradients) and `<case>.<export>.onnx`. Exporters transpose, split and fold weights, so the gradients kept are those of
the file itself (onnx_torch.py); they are checked against the framework's where a weight is only transposed.
"""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch

from entry import Store, difference, file_gradients, initializers, relative, trainable
from reference import coarse, write_gzip, write_tensors

fixtures = Path(__file__).resolve().parents[2] / "packages/autodiff/test/models/fixtures/exported"


def transposition(stored, value):
    """The permutation of axes by which a stored weight is the framework's, apart from axes of size one."""
    stored, value = stored.squeeze(), value.squeeze()
    if sorted(stored.shape) == sorted(value.shape) and stored.size > 1:
        for order in itertools.permutations(range(value.ndim)):
            if np.array_equal(stored, value.transpose(order)):
                return order
    return None


def confirmed(found, stored, kept, kind):
    """How many of the file's gradients the framework computed too; raises where they differ."""
    count = 0
    paths = [key.removeprefix("value/") for key in kept if key.startswith("value/")]
    for name, gradient in found.items():
        for path in paths:
            order = transposition(stored[name], kept[f"value/{path}"])
            if order is None:
                continue
            far = relative(gradient.squeeze(), kept[f"{kind}/{path}"].squeeze().transpose(order).copy())
            small = gradient.norm() < 1e-6 * max(value.norm() for value in found.values())
            assert far < 1e-4 or small, f"{name}: gradient differs from the framework's {path} by {far}"
            count += 1
            break
    return count


def entry_of(path, kept, store):
    """What case.json says of one file."""
    export = path.name.removesuffix(".onnx").split(".", 1)[1]
    kind = "square" if export.endswith("-logits") else "loss"
    data = path.read_bytes()
    model = onnx.load_from_string(data)
    names = [value.name for value in model.graph.input]
    outputs = [value.name for value in model.graph.output]
    output = "logits" if "logits" in outputs else outputs[0]
    inputs = {name: torch.from_numpy(kept[f"input/{name}"]) for name in names}
    trouble = difference(data, {name: value.numpy() for name, value in inputs.items()}, kept["logits"], output)
    if trouble:
        raise ValueError(f"{path.name}: {trouble}")
    stored = initializers(model)
    weighted = torch.from_numpy(kept["weighting"]) if kind == "square" else None
    logits, loss, found = file_gradients(model, inputs, weighted, names, trainable(model, list(stored)), output)
    assert relative(logits, kept["logits"]) < 1e-4 and relative(loss, kept[kind]) < 1e-4, path.name
    found = {name: value for name, value in found.items() if value.norm() > 0}
    largest = max(value.norm() for value in found.values())
    store.tensors[f"eval/{kind}"] = loss.detach().float()
    same = confirmed(found, stored, kept, kind)
    print(f"{path.name}: {len(found)} gradients, {same} of them computed by the framework too")
    return data, {
        "file": f"{export}.onnx.gz",
        "inputs": names,
        "runs": True,
        "loss": {"output": "loss", "tensor": "eval/loss"} if kind == "loss" else None,
        "square": {"tensor": "eval/square"} if kind == "square" else None,
        "logits": {"output": output, "tensor": "eval/logits"},
        "other": None,
        "gradients": {
            name: {"tensor": store.gradient(f"{export}/{name}", value, largest)} for name, value in found.items()
        },
    }


def make(archive):
    case = archive.stem
    kept = {key: value for key, value in np.load(archive).items()}
    store = Store()
    store.tensors["eval/logits"] = coarse(torch.from_numpy(kept["logits"]))
    store.tensors["weighting"] = torch.from_numpy(kept["weighting"])
    store.tensors.update({key: torch.from_numpy(value) for key, value in kept.items() if key.startswith("input/")})
    folder = fixtures / case
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    producer = ""
    for path in sorted(archive.parent.glob(f"{case}.*.onnx")):
        data, entry = entry_of(path, kept, store)
        write_gzip(folder / entry["file"], data)
        entries.append(entry)
        model = onnx.load_from_string(data)
        producer = f"{model.producer_name} {model.producer_version}".strip()
    if entries:
        write_tensors(folder / "reference.safetensors.gz", store.tensors)
        text = json.dumps({"case": case, "made": producer, "exports": entries}, indent=1)
        (folder / "case.json").write_text(text + "\n")


if __name__ == "__main__":
    for archive in sorted(Path(sys.argv[1]).glob("*.npz")):
        try:
            make(archive)
        except Exception as error:
            print(archive.stem, "failed:", repr(error)[:600])
