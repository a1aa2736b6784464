"""Writes packages/autodiff/test/operators/fixtures/operators.json: the operators of ONNX's own domain up to operator set 23, as
the Python package `onnx` (1.22 was used) lists them, each with the operator sets that introduced or changed it.

Usage: python3 scripts/operators-fixture.py
"""

import json
from pathlib import Path

import onnx.defs

OPSET_MOST = 23
TARGET = Path(__file__).parent.parent / "packages/autodiff/test/operators/fixtures/operators.json"


def main():
    operators = {}
    schemas = [each for each in onnx.defs.get_all_schemas_with_history() if each.domain == ""]
    for schema in sorted(schemas, key=lambda each: (each.name, each.since_version)):
        if schema.since_version > OPSET_MOST:
            continue
        entry = operators.setdefault(schema.name, {"opsets": []})
        entry["opsets"].append(schema.since_version)
        if schema.deprecated:
            entry["deprecated"] = schema.since_version
    lines = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(operators.items())]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(len(operators), "operators")


main()
