/**
 * Operators that onnxruntime's WebGPU provider has no kernel for run on the CPU, with their inputs brought down and
 * their outputs taken up. Those that training graphs are full of are written here by operators that it has.
 */
import {
  type Attributes,
  floatOf,
  type Graph,
  graphAttribute,
  inferShapes,
  inferSubgraph,
  int,
  intOf,
  ints,
  type KnownValues,
  type Model,
  microsoft,
  type Node,
  type Tensor,
} from '@murmuration/onnx';

/** What a rewriting adds to a graph. */
interface Additions {
  /** Adds a node and gives its output, which is named `output` if that is given. */
  node(operator: string, inputs: readonly string[], attributes?: Attributes, output?: string): string;
  float32(value: number): string;
  int64s(values: readonly number[]): string;
  /** Dimensions of a value, if they are known to be so many. */
  rankOf(value: string): number | undefined;
  /** Elements of a constant list. */
  integersOf(value: string): readonly number[] | undefined;
}

/** Adds what gives the same outputs; false when it cannot. */
type Rewriting = (node: Node, graph: Additions) => boolean;

const lastAxesSwapped = (rank: number): number[] => [
  ...Array.from({ length: rank - 2 }, (_, axis) => axis),
  rank - 1,
  rank - 2,
];

/** α · op(A) · op(B), op being a transposition of the last two axes. */
const fusedMatMul: Rewriting = (node, graph) => {
  const [left = '', right = ''] = node.inputs;
  const [output = ''] = node.outputs;
  const alpha = floatOf(node, 'alpha', 1);
  const ranks = [graph.rankOf(left), graph.rankOf(right)] as const;
  const flags = [intOf(node, 'transA', 0), intOf(node, 'transB', 0)] as const;
  if (intOf(node, 'transBatchA', 0) !== 0 || intOf(node, 'transBatchB', 0) !== 0) return false;
  if (flags.some((flag, index) => flag !== 0 && (ranks[index] ?? 0) < 2)) return false;
  const [a, b] = [left, right].map((value, index) =>
    flags[index] === 0
      ? value
      : graph.node('Transpose', [value], { perm: ints(lastAxesSwapped(ranks[index] as number)) }),
  ) as [string, string];
  if (alpha === 1) graph.node('MatMul', [a, b], {}, output);
  else graph.node('Mul', [graph.node('MatMul', [a, b]), graph.float32(alpha)], {}, output);
  return true;
};

/** x − max − ln Σ exp(x − max). */
function logarithmsOf(graph: Additions, x: string, axis: number, output?: string): string {
  const axes = graph.int64s([axis]);
  const keepdims = { keepdims: int(1) };
  const below = graph.node('Sub', [x, graph.node('ReduceMax', [x, axes], keepdims)]);
  const sum = graph.node('ReduceSum', [graph.node('Exp', [below]), axes], keepdims);
  return graph.node('Sub', [below, graph.node('Log', [sum])], {}, output);
}

const logSoftmax: Rewriting = (node, graph) => {
  const [x = ''] = node.inputs;
  logarithmsOf(graph, x, intOf(node, 'axis', -1), node.outputs[0]);
  return true;
};

/** The loss of the logarithms, which is left to onnxruntime's definition by smaller operators. */
const softmaxCrossEntropyLoss: Rewriting = (node, graph) => {
  const [scores = '', ...rest] = node.inputs;
  const logarithms = logarithmsOf(graph, scores, 1, node.outputs[1] || undefined);
  graph.node('NegativeLogLikelihoodLoss', [logarithms, ...rest], node.attributes, node.outputs[0]);
  return true;
};

/** min(1, max(0, αx + β)). */
const hardSigmoid: Rewriting = (node, graph) => {
  const [x = ''] = node.inputs;
  const scaled = graph.node('Mul', [x, graph.float32(floatOf(node, 'alpha', 0.2))]);
  const shifted = graph.node('Add', [scaled, graph.float32(floatOf(node, 'beta', 0.5))]);
  graph.node('Clip', [shifted, graph.float32(0), graph.float32(1)], {}, node.outputs[0]);
  return true;
};

/** max + ln Σ exp(x − max): WebGPU's kernel overflows from 89 on. */
const reduceLogSumExp: Rewriting = (node, graph) => {
  const [x = '', axes = ''] = node.inputs;
  if (axes === '') return false;
  const keepdims = { keepdims: int(1) };
  const max = graph.node('ReduceMax', [x, axes], keepdims);
  const sum = graph.node('ReduceSum', [graph.node('Exp', [graph.node('Sub', [x, max])]), axes], keepdims);
  const isKept = intOf(node, 'keepdims', 1) !== 0;
  const [output = ''] = node.outputs;
  const whole = graph.node('Add', [max, graph.node('Log', [sum])], {}, isKept ? output : undefined);
  if (!isKept) graph.node('Squeeze', [whole, axes], {}, output);
  return true;
};

/** y = x · r · scale with r = 1 ÷ √(mean x² + ε): WebGPU's kernel leaves r, its second output, unwritten. */
const simplifiedLayerNormalization: Rewriting = (node, graph) => {
  const [x = '', scale = ''] = node.inputs;
  const [y = '', inverse = ''] = node.outputs;
  const rank = graph.rankOf(x);
  if (inverse === '') return false;
  const axis = intOf(node, 'axis', -1);
  if (rank === undefined && axis !== -1) return false;
  const first = axis < 0 ? axis : axis - (rank as number);
  const axes = graph.int64s(Array.from({ length: -first }, (_, index) => first + index));
  const mean = graph.node('ReduceMean', [graph.node('Mul', [x, x]), axes], { keepdims: int(1) });
  const shifted = graph.node('Add', [mean, graph.float32(floatOf(node, 'epsilon', 1e-5))]);
  const root = graph.node('Sqrt', [shifted]);
  graph.node('Div', [graph.float32(1), root], {}, inverse);
  graph.node('Mul', [graph.node('Mul', [x, inverse]), scale], {}, y);
  return true;
};

/** The rank of an image batch, which WebGPU's kernel of batch normalization takes its channels from. */
const imageRank = 4;

/** (x − mean) · scale ÷ √(variance + ε) + shift along the second axis: the kernel is wrong for other ranks. */
const batchNormalization: Rewriting = (node, graph) => {
  const [x = '', scale = '', shift = '', mean = '', variance = ''] = node.inputs;
  const rank = graph.rankOf(x);
  if (rank === undefined || rank === imageRank || intOf(node, 'training_mode', 0) !== 0) return false;
  const behind = Array.from({ length: rank - 2 }, (_, index) => index + 1);
  const spread = (value: string): string =>
    rank > 2 ? graph.node('Unsqueeze', [value, graph.int64s(behind)]) : value;
  const root = graph.node('Sqrt', [
    graph.node('Add', [variance, graph.float32(floatOf(node, 'epsilon', 1e-5))]),
  ]);
  const factor = graph.node('Div', [scale, root]);
  const scaled = graph.node('Mul', [graph.node('Sub', [x, spread(mean)]), spread(factor)]);
  graph.node('Add', [scaled, spread(shift)], {}, node.outputs[0]);
  return true;
};

/** A shader may bind so many buffers everywhere, a split's input among them. */
const buffersMax = 8;

/** Many parts, one slice each. */
const split: Rewriting = (node, graph) => {
  const [x = '', sizes = ''] = node.inputs;
  const lengths = graph.integersOf(sizes);
  if (node.outputs.length < buffersMax || !lengths) return false;
  const axes = graph.int64s([intOf(node, 'axis', 0)]);
  let start = 0;
  node.outputs.forEach((output, index) => {
    const end = start + (lengths[index] ?? 0);
    if (output !== '') graph.node('Slice', [x, graph.int64s([start]), graph.int64s([end]), axes], {}, output);
    start = end;
  });
  return true;
};

/** By domain and operator. */
const rewritings: Readonly<Record<string, Rewriting>> = {
  [`${microsoft}:FusedMatMul`]: fusedMatMul,
  ':LogSoftmax': logSoftmax,
  ':BatchNormalization': batchNormalization,
  ':HardSigmoid': hardSigmoid,
  ':ReduceLogSumExp': reduceLogSumExp,
  ':SimplifiedLayerNormalization': simplifiedLayerNormalization,
  ':SoftmaxCrossEntropyLoss': softmaxCrossEntropyLoss,
  ':Split': split,
};

/** Collects a graph's nodes and constants under names that say where they come from. */
class AddedNodes implements Additions {
  readonly nodes: Node[] = [];
  readonly #constants = new Map<string, Tensor>();
  readonly #graph: Graph;
  readonly #known: KnownValues;
  readonly #prefix: string;

  constructor(graph: Graph, known: KnownValues, prefix: string) {
    this.#graph = graph;
    this.#known = known;
    this.#prefix = prefix;
  }

  /** The graph with the nodes so far. */
  get graph(): Graph {
    const initializers = [...this.#graph.initializers, ...this.#constants.values()];
    return { ...this.#graph, nodes: this.nodes, initializers };
  }

  node(operator: string, inputs: readonly string[], attributes: Attributes = {}, output?: string): string {
    const name = output ?? `${this.#prefix}/${this.nodes.length}/${operator}`;
    this.nodes.push({ name, operator, domain: '', inputs, outputs: [name], attributes });
    return name;
  }

  float32(value: number): string {
    const name = `${this.#prefix}/float32/${value}`;
    this.#constants.set(name, { name, type: 'float32', shape: [], data: Float32Array.of(value) });
    return name;
  }

  int64s(values: readonly number[]): string {
    const name = `${this.#prefix}/int64/${values}`;
    const data = BigInt64Array.from(values, BigInt);
    this.#constants.set(name, { name, type: 'int64', shape: [values.length], data });
    return name;
  }

  rankOf(value: string): number | undefined {
    return this.#known.get(value)?.shape?.length;
  }

  integersOf(value: string): readonly number[] | undefined {
    const constant = this.#graph.initializers.find(({ name }) => name === value);
    return constant?.type === 'int64' ? Array.from(constant.data, Number) : undefined;
  }
}

const rewritingOf = ({ domain, operator }: Node): Rewriting | undefined =>
  Object.hasOwn(rewritings, `${domain}:${operator}`) ? rewritings[`${domain}:${operator}`] : undefined;

/** The bodies of a node, rewritten: a CPU kernel in one reads garbage where it uses a value from around it. */
function withBodies(node: Node, outer: KnownValues, prefix: string): Node {
  const attributes = Object.entries(node.attributes).map(([name, attribute]) => {
    if (attribute.kind !== 'graph') return [name, attribute] as const;
    const inner = inferSubgraph(attribute.value, [], outer);
    const known: KnownValues = { get: (value) => inner.get(value) ?? outer.get(value) };
    return [name, graphAttribute(rewriteGraph(attribute.value, known, `${prefix}/${name}`))] as const;
  });
  return { ...node, attributes: Object.fromEntries(attributes) };
}

function rewriteGraph(graph: Graph, known: KnownValues, prefix: string): Graph {
  const added = new AddedNodes(graph, known, prefix);
  for (const node of graph.nodes)
    if (!rewritingOf(node)?.(node, added))
      added.nodes.push(withBodies(node, known, `${prefix}/${added.nodes.length}`));
  return added.graph;
}

/** The same model (opset 18 or later) for a WebGPU session. */
export const rewriteForWebgpu = (model: Model): Model => ({
  ...model,
  graph: rewriteGraph(model.graph, inferShapes(model), 'webgpu'),
});
