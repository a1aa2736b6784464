"""What the official `onnx` package says, for the tests of @murmuration/onnx: its schema's fields, a model that it
wrote with every kind of attribute and of tensor storage, and which operators a new opset version changed in a way
that breaks nodes of the version before.

    python scripts/onnx-fixture.py packages/onnx/test/fixtures

Needs onnx (1.22 was used).
"""

import json
import sys
from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

MESSAGES = {
    "Model": onnx.ModelProto,
    "OperatorSetId": onnx.OperatorSetIdProto,
    "StringStringEntry": onnx.StringStringEntryProto,
    "Graph": onnx.GraphProto,
    "Node": onnx.NodeProto,
    "Attribute": onnx.AttributeProto,
    "Tensor": onnx.TensorProto,
    "ValueInfo": onnx.ValueInfoProto,
    "Type": onnx.TypeProto,
    "TensorType": onnx.TypeProto.Tensor,
    "TensorShape": onnx.TensorShapeProto,
    "Dimension": onnx.TensorShapeProto.Dimension,
}


def schema():
    return {
        name: {field.number: field.name for field in message.DESCRIPTOR.fields}
        for name, message in MESSAGES.items()
    }


def model():
    typed = [
        helper.make_tensor("floats", TensorProto.FLOAT, [2], [1.5, -2.5]),
        helper.make_tensor("doubles", TensorProto.DOUBLE, [1], [0.1]),
        helper.make_tensor("longs", TensorProto.INT64, [2], [-1, 2**40]),
        helper.make_tensor("bytes", TensorProto.INT8, [2], [-3, 4]),
        helper.make_tensor("truths", TensorProto.BOOL, [2], [True, False]),
        helper.make_tensor("unsigned", TensorProto.UINT64, [1], [2**63]),
        helper.make_tensor("words", TensorProto.UINT32, [1], [2**32 - 1]),
        numpy_helper.from_array(numpy.array([[1, 2], [3, 4]], numpy.int32), "raw"),
        numpy_helper.from_array(numpy.array([1, -2], numpy.float16), "halves"),
    ]
    nodes = [
        helper.make_node("Add", ["x", "floats"], ["sum"], name="first", doc_string="skipped"),
        helper.make_node(
            "Odd",
            ["sum", "", "longs"],
            ["y"],
            domain="org.example",
            an_int=-7,
            a_float=0.25,
            a_text="text",
            some_ints=[1, -2, 3],
            some_floats=[0.5, -0.5],
            some_texts=["a", "b"],
            a_tensor=helper.make_tensor("", TensorProto.FLOAT, [], [9.0]),
        ),
    ]
    graph = helper.make_graph(
        nodes,
        "official",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, "n"])],
        typed,
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("org.example", 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=9, producer_name="onnx")
    helper.set_model_props(made, {"key": "value"})
    return made


def settings(schema):
    return {
        name: (attribute.required, helper.get_attribute_value(attribute.default_value))
        for name, attribute in schema.attributes.items()
        if attribute.default_value.name or attribute.required
    }


def breaks(old, new):
    """Whether a node of the old schema may be invalid, or mean something else, under the new one."""
    removed = set(old.attributes) - set(new.attributes)
    before, after = settings(old), settings(new)
    other_default = any(name in after and after[name] != before[name] for name in before)
    inputs = len(new.inputs) < len(old.inputs) or any(
        str(given.option) != str(wanted.option) and "Optional" not in str(wanted.option)
        for given, wanted in zip(old.inputs, new.inputs)
    )
    required = any(
        "Optional" not in str(wanted.option) and "Variadic" not in str(wanted.option)
        for wanted in list(new.inputs)[len(old.inputs) :]
    )
    fewer_outputs = len(new.outputs) < len(old.outputs)
    return bool(removed) or other_default or inputs or required or fewer_outputs or new.deprecated


def breaking_changes(oldest=7, newest=23):
    versions = {}
    for each in onnx.defs.get_all_schemas_with_history():
        if each.domain == "" and each.since_version <= newest:
            versions.setdefault(each.name, []).append(each)
    found = []
    for name, schemas in sorted(versions.items()):
        schemas.sort(key=lambda each: each.since_version)
        for old, new in zip(schemas, schemas[1:]):
            if new.since_version > oldest and breaks(old, new):
                found.append([name, new.since_version])
    return found


def main():
    folder = Path(sys.argv[1])
    (folder / "schema.json").write_text(json.dumps(schema(), indent=1) + "\n")
    (folder / "breaking-changes.json").write_text(json.dumps(breaking_changes()) + "\n")
    (folder / "official.onnx").write_bytes(model().SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
