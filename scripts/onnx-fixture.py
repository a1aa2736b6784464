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
import onnx.external_data_helper
from onnx import TensorProto, helper, numpy_helper

MESSAGES = {
    "Model": onnx.ModelProto,
    "OperatorSetId": onnx.OperatorSetIdProto,
    "StringStringEntry": onnx.StringStringEntryProto,
    "Graph": onnx.GraphProto,
    "Node": onnx.NodeProto,
    "Attribute": onnx.AttributeProto,
    "Function": onnx.FunctionProto,
    "SparseTensor": onnx.SparseTensorProto,
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


def functions():
    """Calls inside calls, attributes passed on, defaults, left-out inputs, and a graph inside a function."""
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]

    def referring(name, node, kind):
        attribute = node.attribute.add()
        attribute.name, attribute.ref_attr_name, attribute.type = name, "alpha", kind
        return node

    leaky = onnx.helper.make_function(
        "local",
        "Leaky",
        ["x"],
        ["y"],
        [
            referring("alpha", helper.make_node("LeakyRelu", ["x"], ["inner"]), onnx.AttributeProto.FLOAT),
            helper.make_node("Neg", ["inner"], ["y"], name="negate"),
        ],
        opsets,
        attributes=[],
        attribute_protos=[helper.make_attribute("alpha", 0.5)],
    )
    branch = lambda operator, name: helper.make_graph(
        [helper.make_node(operator, ["small", "x"], [name])],
        name,
        [],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)],
    )
    twice = onnx.helper.make_function(
        "local",
        "Twice",
        ["x", "flag", "unused"],
        ["y", "same", "small"],
        [
            referring("alpha", helper.make_node("Leaky", ["x"], ["first"], domain="local"), onnx.AttributeProto.FLOAT),
            helper.make_node("Leaky", ["first"], ["small"], domain="local"),
            helper.make_node(
                "If", ["flag"], ["y"], then_branch=branch("Add", "inner"), else_branch=branch("Mul", "other")
            ),
            helper.make_node("Identity", ["x"], ["same"]),
        ],
        opsets,
        attributes=["alpha"],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Twice", ["x", "flag"], ["a", "", "b"], domain="local", name="call", alpha=0.25),
            helper.make_node("Twice", ["a", "flag", ""], ["c", "d", "e"], domain="local", name="call2", alpha=2.0),
            helper.make_node("Leaky", ["d"], ["inner"], domain="local"),
            helper.make_node("Sum", ["b", "c", "inner"], ["y"]),
        ],
        "functions",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3]),
            helper.make_tensor_value_info("flag", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
    )
    return helper.make_model(graph, functions=[leaky, twice], opset_imports=opsets, ir_version=9)


def sparse():
    """Sparse initializers with both kinds of indices, and a sparse constant."""

    def tensor(name, indices, values, dims):
        return helper.make_sparse_tensor(
            helper.make_tensor(name, TensorProto.FLOAT, [len(values)], values),
            numpy_helper.from_array(numpy.array(indices, numpy.int64), ""),
            dims,
        )

    constant = helper.make_node("Constant", [], ["c"], sparse_value=tensor("", [1, 2], [5.0, 6.0], [3]))
    graph = helper.make_graph(
        [constant, helper.make_node("Sum", ["x", "flat", "pairs", "c"], ["y"])],
        "sparse",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        sparse_initializer=[
            tensor("flat", [0, 4], [1.0, 2.0], [2, 3]),
            tensor("pairs", [[0, 1], [1, 2]], [3.0, 4.0], [2, 3]),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def external():
    """Two initializers in the file weights.bin beside the model: 24 bytes at 0, 16 bytes at 64."""
    first = numpy_helper.from_array(numpy.zeros([2, 3], numpy.float32), "first")
    second = numpy_helper.from_array(numpy.zeros([2], numpy.int64), "second")
    for tensor, offset, length in ((first, None, None), (second, 64, 16)):
        onnx.external_data_helper.set_external_data(tensor, "weights.bin", offset, length)
        tensor.ClearField("raw_data")
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["first", "second"], ["y"])],
        "external",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [first, second],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


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
    for name, made in (
        ("official", model()),
        ("functions", functions()),
        ("sparse", sparse()),
        ("external", external()),
    ):
        (folder / f"{name}.onnx").write_bytes(made.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
