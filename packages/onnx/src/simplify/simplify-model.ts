/**
 * The same model with fewer nodes. Each round visits the nodes of a graph in order, first those of the graphs inside a
 * node; a node is replaced by constants, by names of earlier values, by the nodes of a branch or of the rounds of a
 * loop, or kept (`scope.ts` says what is remembered). After a round shape inference is asked which small integer
 * values it knows completely: the next round takes them for constants. Rounds end when it knows of nothing new.
 */
import { expressionCharactersMax, mergedElementsMax, simplifyRoundsMax } from '../defaults.ts';
import { inferShapes, type KnownValue } from '../infer-shapes.ts';
import {
  type Attribute,
  float32Tensor,
  type Graph,
  int64Tensor,
  type Model,
  type Node,
  type Tensor,
} from '../model.ts';
import { createNames, type Names } from '../names.ts';
import { withRunnableOpset } from '../runnable-opset.ts';
import { allNames, givenNames, mapSubgraphs, renameGraph, renameValues, usedValues } from '../subgraphs.ts';
import { upgradeModel } from '../upgrade/upgrade-model.ts';
import { build } from './constant-tensor.ts';
import { inlineBranch, unrollLoop } from './control-flow.ts';
import { foldCost, foldNode } from './fold.ts';
import { hasOtherForm, inRunnableForm } from './runnable-forms.ts';
import { contentOf, createSession, Scope, type Session } from './scope.ts';

/** Operators whose outputs differ from run to run. */
const random: ReadonlySet<string> = new Set([
  ...['RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike'],
  ...['Multinomial', 'Bernoulli', 'Dropout'],
]);

/** The tensor of a Constant node, whichever attribute holds it. */
function constantOf(node: Node): Tensor | undefined {
  const [[kind, attribute] = []] = Object.entries(node.attributes);
  if (kind === undefined || !attribute) return undefined;
  switch (attribute.kind) {
    case 'tensor':
      return attribute.value;
    case 'float':
      return float32Tensor('', [attribute.value], []);
    case 'floats':
      return float32Tensor('', attribute.value);
    case 'int':
      return int64Tensor('', [attribute.value], []);
    case 'ints':
      return int64Tensor('', attribute.value);
    default:
      return undefined;
  }
}

/** The complete contents of a small integer value, if shape inference knows them. */
function knownTensor(known: KnownValue | undefined): Tensor | undefined {
  const { type, shape, elements } = known ?? {};
  if ((type !== 'int64' && type !== 'int32') || !shape || !elements) return undefined;
  const sizes = shape.filter((size) => typeof size === 'number');
  const values = elements.filter((element) => typeof element === 'number');
  const complete = sizes.length === shape.length && values.length === elements.length;
  if (!complete || sizes.reduce((product, size) => product * size, 1) !== values.length) return undefined;
  return build(type, sizes, (index) => {
    const value = values[index];
    if (!Number.isSafeInteger(value)) return undefined;
    return type === 'int64' ? BigInt(value as number) : value;
  });
}

function attributeKey([name, attribute]: readonly [string, Attribute]): string | undefined {
  if (attribute.kind === 'graph') return undefined;
  if (Array.isArray(attribute.value) && attribute.value.length > mergedElementsMax) return undefined;
  if (attribute.kind !== 'tensor') return `${name}=${JSON.stringify([attribute.kind, attribute.value])}`;
  return attribute.value.data.length > mergedElementsMax
    ? undefined
    : `${name}=${contentOf(attribute.value)}`;
}

/**
 * Equal texts for nodes that compute the same; nothing for those that are never merged, or where texts get too long.
 */
function expressionOf(node: Node, session: Session): string | undefined {
  const named = node.inputs.reduce((sum, input) => sum + input.length, 0);
  if (named > session.expressionCharacters) return undefined;
  const attributes = Object.entries(node.attributes).map(attributeKey);
  if (node.domain !== '' || random.has(node.operator) || attributes.includes(undefined)) return undefined;
  const outputs = node.outputs.map((output) => output !== '');
  const text = JSON.stringify([node.operator, node.inputs, outputs, attributes.sort()]);
  session.expressionCharacters -= text.length;
  return session.expressionCharacters < 0 ? undefined : text;
}

/** Turns a node's outputs into constants, if everything about them is known. */
function foldInto(node: Node, scope: Scope): boolean {
  const { session } = scope;
  const used = node.outputs.filter((output) => output !== '');
  const inferred = scope.isMain ? used.map((output) => knownTensor(session.known.get(output))) : [];
  if (used.length > 0 && inferred.length > 0 && inferred.every((tensor) => tensor !== undefined)) {
    inferred.forEach((tensor, index) => {
      scope.addComputed(used[index] as string, tensor);
    });
    return true;
  }
  const constants = node.inputs.map((input) => scope.constantOf(input));
  const allConstant = node.inputs.every((input, index) => input === '' || constants[index]);
  if (!allConstant || constants.some((constant) => constant?.weight)) return false;
  const tensors = constants.map((constant) => constant?.tensor);
  const cost = foldCost(node, tensors);
  if (cost > session.folded) return false;
  session.folded -= cost;
  const outputs = foldNode(node, tensors);
  if (!outputs) return false;
  session.folded -= outputs.reduce((sum, output) => sum + (output?.data.length ?? 0), 0);
  node.outputs.forEach((output, index) => {
    const tensor = outputs[index];
    if (output !== '' && tensor) scope.addComputed(output, tensor);
  });
  return true;
}

/** Replaces a node whose outputs are a constant or other values; false if it is neither. */
function replaced(node: Node, scope: Scope): boolean {
  if (node.domain !== '') return false;
  const [output = ''] = node.outputs;
  switch (node.operator) {
    case 'Constant': {
      const tensor = constantOf(node);
      if (tensor) scope.addComputed(output, tensor);
      return tensor !== undefined;
    }
    case 'Identity':
      scope.alias(output, node.inputs[0] ?? '');
      return true;
    case 'If':
      return inlineBranch(node, scope, inline);
    default:
      return false;
  }
}

/** Rewrites one node in its scope. */
function visit(original: Node, scope: Scope): void {
  const { inputs, attributes } = renameValues(original, scope.resolve);
  const named = { ...original, inputs, attributes };
  if (replaced(named, scope)) return;
  const node = {
    ...named,
    attributes: mapSubgraphs(attributes, (graph) => simplifyGraph(graph, scope.session, scope)),
  };
  if (node.domain === '' && node.operator === 'Loop' && unrollLoop(node, scope, inline)) return;
  if (foldInto(node, scope)) return;
  const runnable = inRunnableForm(node, scope);
  if (runnable) {
    for (const part of runnable) visit(part, scope);
    return;
  }
  const key = expressionOf(node, scope.session);
  const equal = key === undefined ? undefined : scope.equalNode(key);
  if (equal)
    node.outputs.forEach((output, index) => {
      scope.alias(output, equal[index] as string);
    });
  else scope.keep(node, key);
}

/** Rewrites a graph's nodes as if they stood in the scope's graph. */
function inline(graph: Graph, scope: Scope): void {
  scope.addInitializers(graph);
  for (const node of graph.nodes) visit(node, scope);
}

/** Nodes and constants that the outputs need. */
function withoutDead(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map(({ name }) => name));
  const kept: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue;
    kept.push(node);
    for (const value of usedValues(node)) needed.add(value);
  }
  const initializers = graph.initializers.filter(({ name }) => needed.has(name));
  return { ...graph, nodes: kept.reverse(), initializers };
}

const identity = (name: string, input: string, output: string): Node => ({
  name,
  operator: 'Identity',
  domain: '',
  inputs: [input],
  outputs: [output],
  attributes: {},
});

/**
 * Gives the graph's outputs their names back: by renaming what gives them, by a copy of a constant, or by Identity.
 * Constants that are outputs come last, in their order.
 */
function withOutputs(graph: Graph, scope: Scope): Graph {
  const { computed, nodeNames } = scope.session;
  const produced = new Set(scope.nodes.flatMap(({ outputs }) => outputs));
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const renamed = new Map<string, string>();
  const identities: Node[] = [];
  const constants = new Map([...scope.constants].map(([name, { tensor }]) => [name, tensor]));
  for (const { name } of graph.outputs) {
    const value = scope.resolve(name);
    const constant = scope.constantOf(value);
    if (value === name) {
      const own = constants.get(name);
      if (own && constants.delete(name)) constants.set(name, own);
    } else if (constant && !constant.weight) {
      computed.add(name);
      constants.set(name, { ...constant.tensor, name });
    } else if (produced.has(value) && !outputs.has(value) && !renamed.has(value)) renamed.set(value, name);
    else identities.push(identity(nodeNames.fresh(`${name}:Identity`), renamed.get(value) ?? value, name));
  }
  const rename = (name: string): string => renamed.get(name) ?? name;
  const nodes = renamed.size > 0 ? scope.nodes.map((node) => renameValues(node, rename)) : scope.nodes;
  return { ...graph, nodes: [...nodes, ...identities], initializers: [...constants.values()] };
}

function simplifyGraph(graph: Graph, session: Session, outer?: Scope): Graph {
  const scope = new Scope(session, outer);
  inline(graph, scope);
  return withoutDead(withOutputs(graph, scope));
}

/** Gives every value of the model a name of its own, also across nested graphs. */
function withUniqueNames(graph: Graph, seen: Set<string>, names: Names): Graph {
  const renamed = new Map<string, string>();
  for (const name of new Set(givenNames(graph))) {
    if (seen.has(name)) renamed.set(name, names.fresh(name));
    seen.add(renamed.get(name) ?? name);
  }
  const unique = renamed.size > 0 ? renameGraph(graph, (name) => renamed.get(name) ?? name) : graph;
  const nodes = unique.nodes.map((node) => ({
    ...node,
    attributes: mapSubgraphs(node.attributes, (inner) => withUniqueNames(inner, seen, names)),
  }));
  return { ...unique, nodes };
}

/**
 * Whether shape inference knows a value completely that a node still computes, or enough to give a node the form that
 * runs.
 */
function learnedFrom({ graph }: Model, known: ReadonlyMap<string, KnownValue>): boolean {
  const constants = new Set(graph.initializers.map(({ name }) => name));
  return graph.nodes.some((node) => {
    const used = node.outputs.filter((output) => output !== '');
    const computes = used.length > 0 && used.every((output) => knownTensor(known.get(output)));
    return computes || hasOtherForm(node, known, (value) => constants.has(value));
  });
}

/**
 * The same model, in opset 23, without Constant nodes, Identity (except where an output is an input), unused parts,
 * equal nodes, branches of a constant condition, loops of a constant number of rounds, and nodes whose outputs can be
 * computed ahead; some nodes get the form that onnxruntime runs. Inputs and the names of outputs stay. Float
 * initializers are not computed with: they may be parameters. Idempotent. Throws `OnnxError` as `upgradeModel` does.
 */
export function simplifyModel(model: Model): Model {
  const upgraded = upgradeModel(model);
  const names = createNames(allNames(upgraded.graph));
  const unique = withUniqueNames(upgraded.graph, new Set(), names);
  const session = createSession(names);
  let current: Model = { ...upgraded, graph: unique };
  let known: ReadonlyMap<string, KnownValue> = new Map();
  for (let round = 0; round < simplifyRoundsMax; round++) {
    const fresh = { known, nodeNames: createNames(), expressionCharacters: expressionCharactersMax };
    const state = Object.assign(session, fresh);
    current = { ...current, graph: simplifyGraph(current.graph, state) };
    known = inferShapes(current);
    if (!learnedFrom(current, known)) break;
  }
  return withRunnableOpset(current);
}
