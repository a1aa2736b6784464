"""Makes the fixtures of packages/autodiff/test/models/fixtures: ONNX files, and PyTorch's losses and gradients.

    python scripts/model-fixtures/make.py [case …]

Needs torch, torchvision, transformers, onnx, onnxscript, onnxruntime (README.md in the fixture folder names versions).
"""

import json
import sys
import traceback
from collections import Counter
from pathlib import Path

import onnx
import onnxruntime
import torch
import transformers

from cases import cases
from entry import Store, difference, file_gradients, relative, trainable
from export import export, mapping
from reference import build, coarse, gradients, sketch, weighting, write_gzip, write_tensors

fixtures = Path(__file__).resolve().parents[2] / "packages/autodiff/test/models/fixtures/exported"
kinds = {True: "loss", False: "square"}


def file_entry(case, how, data, store, reference, parameters):
    """What case.json says of one file, after checking it against PyTorch and onnxruntime."""
    mode, kind = "train" if how.train else "eval", kinds[how.loss]
    logits, loss, found = reference
    inputs = case.inputs(0)
    model = onnx.load_from_string(data)
    names = [value.name for value in model.graph.input]
    trouble = difference(data, {name: inputs[name].numpy() for name in names}, logits)
    if trouble:
        print(f"{case.name} {how.name}: {trouble}")
        if how.name not in case.unrunnable:
            return None
    holds, others = mapping(model, parameters)
    weighted = None if how.loss else weighting(logits.shape)
    direct = {name: (held, flipped) for name, (held, flipped) in holds.items() if held in found}
    copies = Counter(held for held, _ in direct.values())
    given = file_gradients(model, inputs, weighted, names, [*direct, *trainable(model, others)])
    assert relative(given[0], logits) < 1e-5 and relative(given[1], loss) < 1e-5, how.name
    own = given[2]
    largest = max(value.norm() for value in [*found.values(), *own.values()])
    sums, wanted = {}, {}
    for name, (held, flipped) in direct.items():
        if name in own:
            sums[held] = sums.get(held, 0) + (own[name].T if flipped else own[name])
        if copies[held] == 1:
            key = store.gradient(f"{mode}/{kind}/{held}", found[held], largest)
            wanted[name] = {"tensor": key, "transposed": True} if flipped else {"tensor": key}
    for held, total in sums.items():
        far = (total - found[held]).norm()
        assert far < 1e-4 * found[held].norm() + 1e-8 * largest, (how.name, held, far, found[held].norm())
    for name, value in own.items():
        if name not in wanted and value.norm() > 0:
            wanted[name] = {"tensor": store.gradient(f"{how.name}/{name}", value, largest)}
    other = None
    if how.loss:
        other = other_sizes(case, how, model, names, list(wanted), store)
    return {
        "file": f"{how.name}.onnx.gz",
        "inputs": names,
        "runs": trouble is None,
        "loss": {"output": "loss", "tensor": f"{mode}/loss"} if how.loss else None,
        "square": None if how.loss else {"tensor": f"{mode}/square"},
        "logits": {"output": "logits", "tensor": f"{mode}/logits"},
        "other": other,
        "gradients": wanted,
    }


def fixed(model, name):
    """(axis, size) of an input's axes; None where symbolic. torch.export writes what it fixed as a symbol of digits."""
    value = next(value for value in model.graph.input if value.name == name)
    for axis, dim in enumerate(value.type.tensor_type.shape.dim):
        yield axis, int(dim.dim_param) if dim.dim_param.isdigit() else dim.dim_value or None


def other_sizes(case, how, model, names, wanted, store):
    """Keeps inputs of other sizes, the loss of them, and a sketch of each gradient; gives their keys."""
    inputs = case.inputs(1)
    if any(size not in (None, inputs[name].shape[axis]) for name in names for axis, size in fixed(model, name)):
        print(f"{case.name} {how.name}: the exporter fixed its sizes")
        return None
    mode = "train" if how.train else "eval"
    logits, loss, _ = gradients(case, how.train, 1)[0]
    try:
        given = file_gradients(model, inputs, None, names, wanted)
    except (RuntimeError, IndexError) as error:
        print(f"{case.name} {how.name}: the exporter fixed its sizes: {error}"[:200])
        return None
    if not (relative(given[0], logits) < 1e-5 and relative(given[1], loss) < 1e-5):
        print(f"{case.name} {how.name}: the exporter fixed its sizes")
        return None
    store.tensors.update({f"other/input/{name}": value for name, value in inputs.items()})
    store.tensors[f"other/{mode}/loss"] = loss.float()
    table = torch.tensor([sketch(given[2][name]) for name in wanted], dtype=torch.float64)
    return {"loss": f"other/{mode}/loss", "sketches": store.table(f"other/{how.name}", table.float())}


def make(case):
    folder = fixtures / case.name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    parameters = {name: value.detach().numpy() for name, value in build(case).named_parameters()}
    store = Store()
    store.tensors.update({f"input/{name}": value for name, value in case.inputs(0).items()})
    entries, references = [], {}
    for how in case.exports:
        mode, kind = "train" if how.train else "eval", kinds[how.loss]
        if mode not in references:
            references[mode] = dict(zip(("loss", "square"), gradients(case, how.train)))
            store.tensors[f"{mode}/logits"] = coarse(references[mode]["loss"][0])
        logits, loss, _ = references[mode][kind]
        store.tensors[f"{mode}/{kind}"] = loss.float()
        if kind == "square":
            store.tensors["weighting"] = weighting(logits.shape)
        try:
            data = export(case, how)
        except Exception as error:
            print(f"{case.name} {how.name}: not exported: {str(error).strip().splitlines()[-1][:160]}")
            continue
        entry = file_entry(case, how, data, store, references[mode][kind], parameters)
        if entry is None:
            continue
        write_gzip(folder / entry["file"], data)
        entries.append(entry)
        own = sum(1 for value in entry["gradients"].values() if value["tensor"].startswith(how.exporter))
        print(f"{case.name} {how.name}: {len(entry['gradients'])} gradients, {own} of them of the file's own weights")
    write_tensors(folder / "reference.safetensors.gz", store.tensors)
    versions = {"torch": torch, "transformers": transformers, "onnx": onnx, "onnxruntime": onnxruntime}
    made = ", ".join(f"{name} {module.__version__.split('+')[0]}" for name, module in versions.items())
    text = json.dumps({"case": case.name, "made": made, "exports": entries}, indent=1)
    (folder / "case.json").write_text(text + "\n")


def main():
    chosen = sys.argv[1:]
    for case in cases:
        if chosen and case.name not in chosen:
            continue
        try:
            make(case)
        except Exception:
            traceback.print_exc()
        sys.stdout.flush()


if __name__ == "__main__":
    main()
