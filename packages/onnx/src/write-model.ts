import { encodeModel, type Message } from './message.ts';
import type { Attribute, Dimension, Graph, Model, Node, Tensor, ValueInfo } from './model.ts';
import { attributeKinds } from './schema.ts';
import { elementFormats, rawBytes } from './tensor-data.ts';

const kindCodes = Object.fromEntries(
  Object.entries(attributeKinds).map(([code, kind]) => [kind, Number(code)]),
);

const writeTensor = (tensor: Tensor): Message => ({
  dims: tensor.shape.map(BigInt),
  dataType: elementFormats[tensor.type].code,
  name: tensor.name,
  rawData: rawBytes(tensor.data),
});

const writeDimension = (dimension: Dimension): Message =>
  typeof dimension === 'number'
    ? { dimValue: BigInt(dimension) }
    : dimension === '?'
      ? {}
      : { dimParam: dimension };

const writeValueInfo = ({ name, type, shape, untyped }: ValueInfo): Message => {
  if (untyped) return { name };
  const dimensions = shape ? { shape: { dim: shape.map(writeDimension) } } : {};
  return { name, type: { tensorType: { elemType: elementFormats[type].code, ...dimensions } } };
};

const encodeText = (value: string): Uint8Array => new TextEncoder().encode(value);

function attributeValue(attribute: Attribute): Message {
  switch (attribute.kind) {
    case 'int':
      return { i: BigInt(attribute.value) };
    case 'float':
      return { f: attribute.value };
    case 'text':
      return { s: encodeText(attribute.value) };
    case 'tensor':
      return { t: writeTensor(attribute.value) };
    case 'ints':
      return { ints: attribute.value.map(BigInt) };
    case 'floats':
      return { floats: attribute.value };
    case 'texts':
      return { strings: attribute.value.map(encodeText) };
    case 'graph':
      return { g: writeGraph(attribute.value) };
  }
}

const writeNode = (node: Node): Message => ({
  input: node.inputs,
  output: node.outputs,
  name: node.name,
  opType: node.operator,
  attribute: Object.entries(node.attributes).map(([name, attribute]) => ({
    name,
    ...attributeValue(attribute),
    type: kindCodes[attribute.kind],
  })),
  ...(node.domain ? { domain: node.domain } : {}),
});

const writeGraph = (graph: Graph): Message => ({
  node: graph.nodes.map(writeNode),
  name: graph.name,
  initializer: graph.initializers.map(writeTensor),
  input: graph.inputs.map(writeValueInfo),
  output: graph.outputs.map(writeValueInfo),
});

/** The protobuf bytes of a model. Equal models give equal bytes. */
export function writeModel(model: Model): Uint8Array {
  return encodeModel({
    irVersion: BigInt(model.irVersion),
    producerName: model.producer,
    graph: writeGraph(model.graph),
    opsetImport: Object.entries(model.opsets).map(([domain, version]) => ({
      domain,
      version: BigInt(version),
    })),
    metadataProps: Object.entries(model.metadata).map(([key, value]) => ({ key, value })),
  });
}
