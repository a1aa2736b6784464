"""Makes the fixtures of packages/autodiff/test/models/fixtures: ONNX files, and PyTorch's losses and gradients.

    python scripts/model-fixtures/make.py [case …]

Needs torch, torchvision, transformers, onnx, onnxscript, onnxruntime (README.md in the fixture folder names versions).
"""

import json
import sys
import traceback
from pathlib import Path

import onnx
import onnxruntime
import torch
import transformers

from cases import cases
from export import export, mapping
from reference import build, coarse, gradients, weighting, write_gzip, write_tensors

fixtures = Path(__file__).resolve().parents[2] / "packages/autodiff/test/models/fixtures"
kinds = {True: "loss", False: "square"}


def run(data, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, feeds)))


def relative(value, expected):
    expected = torch.as_tensor(expected).double()
    return float((torch.as_tensor(value).double() - expected).norm() / (expected.norm() + 1e-30))


def difference(data, feeds, logits):
    """Why onnxruntime's logits are not PyTorch's, if they are not."""
    try:
        far = relative(run(data, feeds)["logits"], logits)
    except Exception as error:
        return f"onnxruntime refuses it: {error}"[:300]
    return None if far < 1e-4 else f"onnxruntime's logits differ from PyTorch's by {far:.1e}"


def make(case):
    folder = fixtures / case.name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    inputs = case.inputs()
    parameters = {name: value.detach().numpy() for name, value in build(case).named_parameters()}
    tensors = {f"input/{name}": value for name, value in inputs.items()}
    entries = []
    references = {}
    for how in case.exports:
        mode = "train" if how.train else "eval"
        if mode not in references:
            references[mode] = dict(zip(("loss", "square"), gradients(case, how.train)))
            tensors[f"{mode}/logits"] = coarse(references[mode]["loss"][0])
        kind = kinds[how.loss]
        logits, loss, found = references[mode][kind]
        tensors[f"{mode}/{kind}"] = loss.float()
        if kind == "square":
            tensors["weighting"] = weighting(logits.shape)
        try:
            data = export(case, how)
        except Exception as error:
            print(f"{case.name} {how.name}: not exported: {str(error).strip().splitlines()[-1][:160]}")
            continue
        model = onnx.load_from_string(data)
        names = [value.name for value in model.graph.input]
        trouble = difference(data, {name: inputs[name].numpy() for name in names}, logits)
        if trouble:
            print(f"{case.name} {how.name}: {trouble}")
            if how.name not in case.unrunnable:
                continue
        holds, others = mapping(model, parameters)
        wanted = {}
        for initializer, (parameter, transposed) in holds.items():
            copies = [other for other, (name, _) in holds.items() if name == parameter]
            if parameter not in found or len(copies) > 1:
                continue
            key = f"{mode}/{kind}/{parameter}"
            tensors[key] = coarse(found[parameter])
            wanted[initializer] = {"tensor": key, "transposed": True} if transposed else {"tensor": key}
        write_gzip(folder / f"{how.name}.onnx.gz", data)
        entries.append(
            {
                "file": f"{how.name}.onnx.gz",
                "inputs": names,
                "loss": {"output": "loss", "tensor": f"{mode}/loss"} if how.loss else None,
                "square": None if how.loss else {"tensor": f"{mode}/square"},
                "logits": {"output": "logits", "tensor": f"{mode}/logits"},
                "gradients": wanted,
                "folded": others,
            }
        )
        print(f"{case.name} {how.name}: {len(wanted)} gradients, not parameters: {len(others)}")
    write_tensors(folder / "reference.safetensors.gz", tensors)
    made = f"torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__}, onnx {onnx.__version__}"
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
