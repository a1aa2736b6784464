import { modelBytesMax, rankMax } from './defaults.ts';
import { OnnxError } from './errors.ts';
import { decodeModel, type Message } from './message.ts';
import type { Attribute, Dimension, Graph, Model, Node, Tensor, ValueInfo } from './model.ts';
import { attributeKinds } from './schema.ts';
import { elementTypeOf, readTensorData } from './tensor-data.ts';

const listOf = (message: Message, name: string): readonly Message[] =>
  (message[name] ?? []) as readonly Message[];
const nameOf = (message: Message, field: string): string => (message[field] ?? '') as string;

function integer(value: unknown, where: string): number {
  const number = Number((value ?? 0n) as bigint);
  if (!Number.isSafeInteger(number))
    throw new OnnxError(`${where}: expected an integer below 2^53, got ${String(value)}`, {
      code: 'unsupported',
    });
  return number;
}

function readTensor(message: Message): Tensor {
  const name = nameOf(message, 'name');
  const where = `tensor ${JSON.stringify(name)}`;
  const type = elementTypeOf((message.dataType ?? 0) as number, where);
  const dims = (message.dims ?? []) as readonly bigint[];
  const shape = dims.map((dimension) => integer(dimension, where));
  if (shape.length > rankMax || shape.some((dimension) => dimension < 0))
    throw new OnnxError(
      `${where}: expected at most ${rankMax} dimensions, none negative, got [${shape.slice(0, 20)}]`,
      { code: 'malformed' },
    );
  return { name, type, shape, data: readTensorData(message, type, shape, where) };
}

function readValueInfo(message: Message, nested: boolean): ValueInfo {
  const name = nameOf(message, 'name');
  const where = `value ${JSON.stringify(name)}`;
  const tensorType = (message.type as Message | undefined)?.tensorType as Message | undefined;
  if (nested && !message.type) return { name, type: 'float32', untyped: true };
  if (!tensorType) throw new OnnxError(`${where}: expected a tensor type`, { code: 'malformed', name });
  const type = elementTypeOf((tensorType.elemType ?? 0) as number, where);
  const shapeMessage = tensorType.shape as Message | undefined;
  if (!shapeMessage) return { name, type };
  const shape = listOf(shapeMessage, 'dim').map((dimension): Dimension => {
    if (dimension.dimValue !== undefined) return integer(dimension.dimValue, where);
    return nameOf(dimension, 'dimParam') || '?';
  });
  if (shape.length > rankMax || shape.some((dimension) => typeof dimension === 'number' && dimension < 0))
    throw new OnnxError(`${where}: expected at most ${rankMax} dimensions, none negative`, {
      code: 'malformed',
      name,
    });
  return { name, type, shape };
}

const decodeText = (bytes: unknown): string =>
  new TextDecoder().decode((bytes ?? new Uint8Array()) as Uint8Array);

function readAttribute(message: Message, node: string): Attribute {
  const where = `attribute ${nameOf(message, 'name')} of node ${JSON.stringify(node)}`;
  const kind = attributeKinds[message.type as keyof typeof attributeKinds];
  switch (kind) {
    case 'int':
      return { kind, value: integer(message.i, where) };
    case 'float':
      return { kind, value: (message.f ?? 0) as number };
    case 'text':
      return { kind, value: decodeText(message.s) };
    case 'tensor':
      return { kind, value: readTensor((message.t ?? {}) as Message) };
    case 'ints':
      return {
        kind,
        value: ((message.ints ?? []) as readonly bigint[]).map((value) => integer(value, where)),
      };
    case 'floats':
      return { kind, value: (message.floats ?? []) as readonly number[] };
    case 'texts':
      return { kind, value: ((message.strings ?? []) as readonly Uint8Array[]).map(decodeText) };
    case 'graph':
      return { kind, value: readGraph((message.g ?? {}) as Message, true) };
    default:
      throw new OnnxError(`${where}: type ${String(message.type)} is not supported`, {
        code: 'unsupported',
      });
  }
}

function readNode(message: Message): Node {
  const name = nameOf(message, 'name');
  const attributes = new Map(
    listOf(message, 'attribute').map((attribute) => [
      nameOf(attribute, 'name'),
      readAttribute(attribute, name),
    ]),
  );
  return {
    name,
    operator: nameOf(message, 'opType'),
    domain: nameOf(message, 'domain') === 'ai.onnx' ? '' : nameOf(message, 'domain'),
    inputs: (message.input ?? []) as readonly string[],
    outputs: (message.output ?? []) as readonly string[],
    attributes: Object.fromEntries(attributes),
  };
}

function readGraph(message: Message, nested: boolean): Graph {
  const initializers = listOf(message, 'initializer').map(readTensor);
  const constants = new Set(initializers.map(({ name }) => name));
  return {
    name: nameOf(message, 'name'),
    nodes: listOf(message, 'node').map(readNode),
    inputs: listOf(message, 'input')
      .map((value) => readValueInfo(value, nested))
      .filter(({ name }) => !constants.has(name)),
    outputs: listOf(message, 'output').map((value) => readValueInfo(value, nested)),
    initializers,
  };
}

/**
 * Reads an ONNX model from protobuf bytes, which may come from anywhere: memory stays proportional to the input.
 * Throws `OnnxError`: `too-long`, `malformed`, or `unsupported` (subgraphs, functions, external data, strings).
 * Says nothing about whether the graph makes sense: that is `checkModel`.
 */
export function readModel(bytes: Uint8Array): Model {
  if (bytes.length > modelBytesMax)
    throw new OnnxError(`ONNX model: expected at most ${modelBytesMax} bytes, got ${bytes.length}`, {
      code: 'too-long',
      length: bytes.length,
    });
  const message = decodeModel(bytes);
  const graph = message.graph as Message | undefined;
  if (!graph) throw new OnnxError('ONNX model: expected a graph, got none', { code: 'malformed' });
  const opsets = listOf(message, 'opsetImport').map((opset): [string, number] => {
    const domain = nameOf(opset, 'domain');
    return [domain === 'ai.onnx' ? '' : domain, integer(opset.version, `opset ${domain}`)];
  });
  const metadata = listOf(message, 'metadataProps').map((entry): [string, string] => [
    nameOf(entry, 'key'),
    nameOf(entry, 'value'),
  ]);
  return {
    irVersion: integer(message.irVersion, 'IR version'),
    producer: nameOf(message, 'producerName'),
    opsets: Object.fromEntries(opsets),
    metadata: Object.fromEntries(metadata),
    graph: readGraph(graph, false),
  };
}
