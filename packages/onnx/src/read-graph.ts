/**
 * Graphs, nodes and attributes out of decoded messages. A call of a local function of the file becomes the nodes of
 * the function: they are read anew for every call, because the call decides the values of attributes that refer to the
 * function's own (`ref_attr_name`). Values inside get new names; what the call gives in and takes out keeps its names.
 */
import { functionDepthMax, inlinedValuesMax, rankMax } from './defaults.ts';
import { describeNode } from './describe-node.ts';
import { OnnxError } from './errors.ts';
import type { Message } from './message.ts';
import type { Attribute, Attributes, Dimension, Graph, Node, Tensor, ValueInfo } from './model.ts';
import { createNames, type Names } from './names.ts';
import { integer, listOf, nameOf, readSparseTensor, readTensor, type TensorReading } from './read-tensor.ts';
import { attributeKinds } from './schema.ts';
import { allNames, mapSubgraphs, renameGraph, renameValues, sizeOf } from './subgraphs.ts';
import { elementTypeOf } from './tensor-data.ts';

/** What reading one model needs and is allowed. */
export interface Reading {
  readonly tensors: TensorReading;
  /** Local functions by domain, name and overload. */
  readonly functions: ReadonlyMap<string, Message>;
  readonly names: Names;
  /** Names that calls made: no other value has them. */
  readonly made: Set<string>;
  /** Attributes that were read before and are the same in every call. */
  readonly attributes: WeakMap<Message, Attribute>;
  /** Nodes, their inputs, outputs and attributes that calls may still bring. */
  inlined: number;
}

/** The call in whose function we are: its attributes, and the functions around it. */
interface Call {
  readonly attributes: Attributes;
  readonly stack: readonly string[];
}

/** ONNX's own domain has two names. */
export const domainOf = (message: Message): string => {
  const domain = nameOf(message, 'domain');
  return domain === 'ai.onnx' ? '' : domain;
};

const keyOf = (message: Message, name: string): string =>
  JSON.stringify([domainOf(message), nameOf(message, name), nameOf(message, 'overload')]);

/** Starts reading graphs; `functions` are the file's. */
export function createReading(tensors: TensorReading, functions: readonly Message[]): Reading {
  const byKey = new Map(functions.map((each) => [keyOf(each, 'name'), each]));
  return {
    tensors,
    functions: byKey,
    names: createNames(),
    made: new Set(),
    attributes: new WeakMap(),
    inlined: inlinedValuesMax,
  };
}

/** PyTorch writes a dynamic dimension that turned out to be fixed as a symbol with the name of the number. */
const isNumber = (symbol: string): boolean => /^\d{1,15}$/.test(symbol);

function readValueInfo(message: Message, nested: boolean): ValueInfo {
  const name = nameOf(message, 'name');
  const where = `value ${JSON.stringify(name)}`;
  const tensorType = (message.type as Message | undefined)?.tensorType as Message | undefined;
  if (nested && !tensorType?.elemType) return { name, type: 'float32', untyped: true };
  if (!tensorType) throw new OnnxError(`${where}: expected a tensor type`, { code: 'malformed', name });
  const type = elementTypeOf((tensorType.elemType ?? 0) as number, where);
  const shapeMessage = tensorType.shape as Message | undefined;
  if (!shapeMessage) return { name, type };
  const shape = listOf(shapeMessage, 'dim').map((dimension): Dimension => {
    if (dimension.dimValue !== undefined) return integer(dimension.dimValue, where);
    const symbol = nameOf(dimension, 'dimParam');
    return isNumber(symbol) ? Number(symbol) : symbol || '?';
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

const int64Max = 2n ** 63n - 1n;

/** An attribute's integer. The largest and the smallest int64 mean "to the end": they become ±(2^53 − 1). */
function attributeInteger(value: unknown, where: string): number {
  if (value === int64Max) return Number.MAX_SAFE_INTEGER;
  if (value === -int64Max || value === -int64Max - 1n) return Number.MIN_SAFE_INTEGER;
  return integer(value, where);
}

function readAttribute(message: Message, node: string, reading: Reading, call: Call): Attribute {
  const known = reading.attributes.get(message);
  if (known) return known;
  const attribute = readNewAttribute(message, node, reading, call);
  if (attribute.kind !== 'graph') reading.attributes.set(message, attribute);
  return attribute;
}

function readNewAttribute(message: Message, node: string, reading: Reading, call: Call): Attribute {
  const where = `attribute ${nameOf(message, 'name')} of ${node}`;
  if (message.type === sparseKind)
    return {
      kind: 'tensor',
      value: readSparseTensor((message.sparseTensor ?? {}) as Message, reading.tensors),
    };
  const kind = attributeKinds[message.type as keyof typeof attributeKinds];
  switch (kind) {
    case 'int':
      return { kind, value: attributeInteger(message.i, where) };
    case 'float':
      return { kind, value: (message.f ?? 0) as number };
    case 'text':
      return { kind, value: decodeText(message.s) };
    case 'tensor':
      return { kind, value: readTensor((message.t ?? {}) as Message, reading.tensors) };
    case 'ints':
      return {
        kind,
        value: ((message.ints ?? []) as readonly bigint[]).map((value) => attributeInteger(value, where)),
      };
    case 'floats':
      return { kind, value: (message.floats ?? []) as readonly number[] };
    case 'texts':
      return { kind, value: ((message.strings ?? []) as readonly Uint8Array[]).map(decodeText) };
    case 'graph':
      return { kind, value: readInside((message.g ?? {}) as Message, reading, call, true) };
    default:
      throw new OnnxError(`${where}: type ${String(message.type)} is not supported`, {
        code: 'unsupported',
      });
  }
}

/** `AttributeProto.AttributeType.SPARSE_TENSOR`; a sparse constant is read as a dense one. */
const sparseKind = 11;

function readAttributes(
  messages: readonly Message[],
  node: string,
  reading: Reading,
  call: Call,
): Attributes {
  const attributes = new Map<string, Attribute>();
  for (const message of messages) {
    const name = nameOf(message, 'name');
    const reference = nameOf(message, 'refAttrName');
    const referred = Object.hasOwn(call.attributes, reference) ? call.attributes[reference] : undefined;
    if (referred?.kind === 'graph') charge(sizeOf(referred.value), reading, call);
    const value = reference === '' ? readAttribute(message, node, reading, call) : referred;
    if (value) attributes.set(message.type === sparseKind ? 'value' : name, value);
  }
  return Object.fromEntries(attributes);
}

function readNode(message: Message, reading: Reading, call: Call): Node {
  const name = nameOf(message, 'name');
  const operator = nameOf(message, 'opType');
  const outputs = (message.output ?? []) as readonly string[];
  const described = describeNode({ name, operator, outputs });
  return {
    name,
    operator,
    domain: domainOf(message),
    inputs: (message.input ?? []) as readonly string[],
    outputs,
    attributes: readAttributes(listOf(message, 'attribute'), described, reading, call),
  };
}

/** The attributes that a function's body sees: the call's, and the function's defaults. */
function boundAttributes(body: Message, node: Node, reading: Reading, stack: readonly string[]): Attributes {
  const own = { attributes: {}, stack };
  const messages = listOf(body, 'attributeProto');
  charge(messages.length + Object.keys(node.attributes).length, reading, own);
  return { ...readAttributes(messages, describeNode(node), reading, own), ...node.attributes };
}

/** A new name for a value or node of a function; one that a call inside it made stays. */
function ownName(name: string, node: Node, { names, made }: Reading): string {
  if (made.has(name)) return name;
  const own = names.fresh(`${node.name}/${name}`);
  made.add(own);
  return own;
}

/** Names for what a function's nodes use and give, as the call sees them. */
function namesOfCall(
  body: Message,
  node: Node,
  inner: readonly Node[],
  reading: Reading,
): Map<string, string> {
  const renamed = new Map<string, string>();
  ((body.input ?? []) as readonly string[]).forEach((input, index) => {
    renamed.set(input, node.inputs[index] ?? '');
  });
  const given = new Set(inner.flatMap(({ outputs }) => outputs));
  ((body.output ?? []) as readonly string[]).forEach((output, index) => {
    const outside = node.outputs[index] ?? '';
    if (outside !== '' && given.has(output) && !renamed.has(output)) renamed.set(output, outside);
  });
  for (const output of given)
    if (output !== '' && !renamed.has(output)) renamed.set(output, ownName(output, node, reading));
  return renamed;
}

/** The inner node with new names for what its graphs give. */
function withOwnNames(inner: Node, node: Node, reading: Reading): Node {
  const attributes = mapSubgraphs(inner.attributes, (graph) => {
    const renamed = new Map([...allNames(graph)].map((name) => [name, ownName(name, node, reading)]));
    return renameGraph(graph, (name) => renamed.get(name) ?? name);
  });
  return { ...inner, name: ownName(inner.name, node, reading), attributes };
}

/** The nodes of a function in the place of a call. */
function inlineCall(body: Message, node: Node, reading: Reading, stack: readonly string[]): readonly Node[] {
  const [inputs, outputs] = [body.input ?? [], body.output ?? []] as [readonly string[], readonly string[]];
  const call = { attributes: boundAttributes(body, node, reading, stack), stack };
  charge(inputs.length + outputs.length, reading, call);
  const inner = listOf(body, 'node')
    .flatMap((each) => readNodes(each, reading, call))
    .map((each) => withOwnNames(each, node, reading));
  const renamed = namesOfCall(body, node, inner, reading);
  const rename = (name: string): string => renamed.get(name) ?? name;
  const nodes = inner.map((each) => renameValues(each, rename));
  outputs.forEach((output, index) => {
    const outside = node.outputs[index] ?? '';
    if (outside === '' || rename(output) === outside) return;
    nodes.push({
      name: ownName('Identity', node, reading),
      operator: 'Identity',
      domain: '',
      inputs: [rename(output)],
      outputs: [outside],
      attributes: {},
    });
  });
  return nodes;
}

/** Counts what a call brings. */
function charge(count: number, reading: Reading, { stack }: Call): void {
  if (stack.length === 0) return;
  reading.inlined -= count;
  if (reading.inlined < 0)
    throw new OnnxError(
      `functions: expected calls to bring at most ${inlinedValuesMax} nodes, inputs, outputs and attributes in all`,
      { code: 'unsupported' },
    );
}

function readNodes(message: Message, reading: Reading, call: Call): readonly Node[] {
  const key = keyOf(message, 'opType');
  const body = reading.functions.get(key);
  const node = readNode(message, reading, call);
  const attributes = listOf(message, 'attribute').length;
  charge(1 + node.inputs.length + node.outputs.length + attributes, reading, call);
  if (body && (call.stack.includes(key) || call.stack.length >= functionDepthMax))
    throw new OnnxError(
      `function ${node.operator}: expected no recursion and at most ${functionDepthMax} calls inside each other`,
      { code: 'unsupported', operator: node.operator },
    );
  return body ? inlineCall(body, node, reading, [...call.stack, key]) : [node];
}

function readInside(message: Message, reading: Reading, call: Call, nested: boolean): Graph {
  const sparse = listOf(message, 'sparseInitializer').map((each) => readSparseTensor(each, reading.tensors));
  const dense = listOf(message, 'initializer').map((each): Tensor => readTensor(each, reading.tensors));
  const initializers = [...dense, ...sparse];
  const outside = listOf(message, 'input').length + listOf(message, 'output').length;
  charge(initializers.length + outside, reading, call);
  const constants = new Set(initializers.map(({ name }) => name));
  return {
    name: nameOf(message, 'name'),
    nodes: listOf(message, 'node').flatMap((node) => readNodes(node, reading, call)),
    inputs: listOf(message, 'input')
      .map((value) => readValueInfo(value, nested))
      .filter(({ name }) => !constants.has(name)),
    outputs: listOf(message, 'output').map((value) => readValueInfo(value, nested)),
    initializers,
  };
}

/** Takes all names of a graph's or function's nodes, and of what is inside them. */
function takeNames(message: Message, names: Names): void {
  for (const node of listOf(message, 'node')) {
    names.take(nameOf(node, 'name'));
    for (const output of (node.output ?? []) as readonly string[]) names.take(output);
    for (const { g } of listOf(node, 'attribute')) if (g) takeGraphNames(g as Message, names);
  }
}

function takeGraphNames(message: Message, names: Names): void {
  for (const value of [...listOf(message, 'input'), ...listOf(message, 'initializer')])
    names.take(nameOf(value, 'name'));
  takeNames(message, names);
}

/** The model's graph. */
export function readGraph(message: Message, reading: Reading): Graph {
  if (reading.functions.size > 0) takeGraphNames(message, reading.names);
  for (const body of reading.functions.values()) takeNames(body, reading.names);
  return readInside(message, reading, { attributes: {}, stack: [] }, false);
}
