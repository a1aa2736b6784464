/**
 * A model of an older opset in the newest that we know. Every node is rewritten by the changes (`table.ts`) that lie
 * between the model's opset and ours, oldest first; what surrounds the node (`op` before it, `after` behind it) is in
 * the newest form already. Two rounds: changes that gain from knowing shapes come second, when the rest of the model
 * is in the form that shape inference knows.
 */
import { canonicalIrVersion, canonicalOpset, completeOpset, oldestOpset } from '../defaults.ts';
import { OnnxError } from '../errors.ts';
import { inferShapes, type KnownValue } from '../infer-shapes.ts';
import {
  float32Tensor,
  type Graph,
  int64Tensor,
  type Model,
  type Node,
  type Tensor,
  tensorOf,
} from '../model.ts';
import { createNames } from '../names.ts';
import { withRunnableOpset } from '../runnable-opset.ts';
import { allNames, allNodes, mapSubgraphs, subgraphsOf, usedValues } from '../subgraphs.ts';
import type { Change, ChangeContext } from './change.ts';
import { changes } from './table.ts';

/** Changes of one round, on one model. */
interface Round {
  readonly version: number;
  readonly select: (change: Change) => boolean;
  readonly context: Omit<ChangeContext, 'op' | 'after'>;
  /** Constants made on the way. */
  readonly constants: Map<string, Tensor>;
}

function nextChange(node: Node, version: number, round: Round): Change | undefined {
  if (node.domain !== '' || !Object.hasOwn(changes, node.operator)) return undefined;
  return changes[node.operator]?.find((change) => change.since > version && round.select(change));
}

function upgradeNode(node: Node, round: Round): readonly Node[] {
  const before: Node[] = [];
  const after: Node[] = [];
  let current: Node = {
    ...node,
    attributes: mapSubgraphs(node.attributes, (graph) => upgradeGraph(graph, round)),
  };
  let { version } = round;
  for (;;) {
    const change = nextChange(current, version, round);
    if (!change) return [...before, current, ...after];
    const behind: Node[] = [];
    const stem = current.outputs.find((output) => output !== '') ?? current.operator;
    current = change.apply(current, {
      ...round.context,
      op: (operator, inputs, attributes = {}) => {
        const output = round.context.fresh(`${stem}:${operator}`);
        before.push({ name: output, operator, domain: '', inputs, outputs: [output], attributes });
        return output;
      },
      after: (operator, inputs, output, attributes = {}) => {
        const name = round.context.fresh(`${output}:${operator}`);
        behind.push({ name, operator, domain: '', inputs, outputs: [output], attributes });
      },
    });
    after.unshift(...behind);
    version = change.since;
  }
}

function upgradeGraph(graph: Graph, round: Round): Graph {
  return { ...graph, nodes: graph.nodes.flatMap((node) => upgradeNode(node, round)) };
}

function usedNames(model: Model): ReadonlySet<string> {
  const used = new Set(model.graph.outputs.map(({ name }) => name));
  for (const node of allNodes(model)) {
    for (const value of usedValues(node)) used.add(value);
    for (const inner of subgraphsOf(node)) for (const { name } of inner.outputs) used.add(name);
  }
  return used;
}

function constantsOf(model: Model): ReadonlyMap<string, Tensor> {
  const constants = new Map(model.graph.initializers.map((tensor) => [tensor.name, tensor]));
  for (const node of allNodes(model)) {
    const value = node.operator === 'Constant' ? tensorOf(node, 'value') : undefined;
    if (value && node.outputs[0]) constants.set(node.outputs[0], value);
  }
  return constants;
}

function runRound(
  model: Model,
  version: number,
  select: (change: Change) => boolean,
  known: ReadonlyMap<string, KnownValue>,
): Model {
  const names = createNames(allNames(model.graph));
  const used = usedNames(model);
  const given = constantsOf(model);
  const constants = new Map<string, Tensor>();
  const share = (key: string, make: (name: string) => Tensor): string => {
    const tensor = constants.get(key) ?? make(names.fresh(key));
    constants.set(key, tensor);
    return tensor.name;
  };
  const { graph } = model;
  const upgraded = upgradeGraph(graph, {
    version,
    select,
    constants,
    context: {
      fresh: names.fresh,
      known: (value) => known.get(value),
      isUsed: (value) => used.has(value),
      constantOf: (value) => given.get(value),
      int64s: (values, shape = [values.length]) =>
        share(`int64[${shape}](${values})`, (name) => int64Tensor(name, values, [...shape])),
      float32s: (values, shape = [values.length]) =>
        share(`float32[${shape}](${values})`, (name) => float32Tensor(name, values, shape)),
    },
  });
  return {
    ...model,
    graph: { ...upgraded, initializers: [...graph.initializers, ...constants.values()] },
  };
}

/** The model's opset of the default domain. Throws `OnnxError` `unsupported` for one that cannot be upgraded. */
function checkedOpset(model: Model): number {
  const version = model.opsets[''] ?? canonicalOpset;
  if (version < oldestOpset || version > canonicalOpset)
    throw new OnnxError(
      `ONNX model: expected opset ${oldestOpset} to ${canonicalOpset} of the default domain, got ${version}`,
      { code: 'unsupported', opset: version },
    );
  return version;
}

/**
 * The same model in opset 23 of the default domain, from any opset 7 to 23; other domains stay as they are. Labelled
 * with opset 21 where onnxruntime needs that (`withRunnableOpset`). A model that is in this form already is given back.
 * Throws `OnnxError`: `unsupported` for other opsets and for the few old forms without a counterpart (Scan of opset 8,
 * saved statistics of BatchNormalization), `invalid-model` when shapes contradict each other.
 */
export function upgradeModel(model: Model): Model {
  const version = checkedOpset(model);
  const isNew = model.irVersion >= canonicalIrVersion ? completeOpset : canonicalOpset;
  if (model.opsets[''] !== undefined && version >= isNew) return withRunnableOpset(model);
  const early = runRound(model, version, ({ late }) => !late, new Map());
  const isLate = ({ domain, operator }: Node): boolean =>
    domain === '' &&
    Object.hasOwn(changes, operator) &&
    (changes[operator] ?? []).some(({ late, since }) => late === true && since > version);
  const upgraded = allNodes(early).some(isLate)
    ? runRound(early, version, ({ late }) => late === true, inferShapes(early))
    : early;
  return withRunnableOpset({
    ...upgraded,
    irVersion: Math.max(model.irVersion, canonicalIrVersion),
    opsets: { ...model.opsets, '': canonicalOpset },
  });
}
