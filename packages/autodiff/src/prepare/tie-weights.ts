import {
  intOf,
  ints,
  intsOf,
  type Model,
  type Node,
  renameGraph,
  type Tensor,
  usedValues,
} from '@murmuration/onnx';
import { plainNode } from '../plain-node.ts';

/** An output head that became one with an embedding. */
export interface Tie {
  /** The head's weight, which is gone. */
  readonly head: string;
  readonly embedding: string;
}

/** A matrix with a row per token or class. */
interface Table {
  readonly name: string;
  readonly shape: readonly [number, number];
  /** The elements' bits by row. */
  readonly bits: Uint32Array;
  /** Whether the file holds it with a column per class. */
  readonly turned: boolean;
}

function tableOf(tensor: Tensor | undefined, turned: boolean): Table | undefined {
  if (tensor?.type !== 'float32' || tensor.shape.length !== 2) return undefined;
  const { name, shape, data } = tensor;
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  if (bits.every((value) => value === bits[0])) return undefined;
  const [rows, columns] = shape as [number, number];
  if (!turned) return { name, shape: [rows, columns], bits, turned };
  const byRow = bits.map((_, index) => bits[(index % rows) * columns + Math.floor(index / rows)] as number);
  return { name, shape: [columns, rows], bits: byRow, turned };
}

/** What equal tables have in common, and hardly any others. */
function fingerprint({ shape, bits }: Table): string {
  let mixed = 0;
  for (const value of bits) mixed = Math.imul((mixed << 5) ^ (mixed >>> 27) ^ value, 0x9e3779b1);
  return `${shape}:${mixed}`;
}

/** Operators behind which a product is no output head. */
const products: ReadonlySet<string> = new Set([
  'MatMul',
  'Gemm',
  'Conv',
  'ConvTranspose',
  'Einsum',
  'Attention',
  'LSTM',
  'GRU',
  'RNN',
]);

/** The products that come last on the way to an output. */
function lastProducts({ graph }: Model): readonly Node[] {
  const reaching = new Set(graph.outputs.map(({ name }) => name));
  const last: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => reaching.has(output))) continue;
    if (products.has(node.operator)) last.push(node);
    else for (const name of usedValues(node)) reaching.add(name);
  }
  return last;
}

/** The weights of output heads: second factors of products, perhaps behind a Transpose. */
function headsOf(model: Model, weights: ReadonlyMap<string, Tensor>): readonly Table[] {
  const makers = new Map(model.graph.nodes.map((node) => [node.outputs[0] ?? '', node]));
  const seen = new Set<string>();
  return lastProducts(model).flatMap((node) => {
    const [, factor = ''] = node.inputs;
    const maker = makers.get(factor);
    const isTurned = maker?.operator === 'Transpose' && (intsOf(maker, 'perm') ?? [1, 0]).join() === '1,0';
    const name = (isTurned ? maker.inputs[0] : factor) ?? '';
    if (seen.has(name) || (node.operator !== 'MatMul' && node.operator !== 'Gemm')) return [];
    seen.add(name);
    const classesAreRows = isTurned !== (intOf(node, 'transB', 0) === 1);
    return tableOf(weights.get(name), !classesAreRows) ?? [];
  });
}

/** The weights whose rows are looked up, by what equal ones have in common. */
function embeddingsOf({ graph }: Model, weights: ReadonlyMap<string, Tensor>): ReadonlyMap<string, Table> {
  const looked = graph.nodes.filter((node) => node.operator === 'Gather' && intOf(node, 'axis', 0) === 0);
  const names = new Set(looked.map(({ inputs }) => inputs[0] ?? ''));
  const tables = [...names].flatMap((name) => tableOf(weights.get(name), false) ?? []);
  return new Map(tables.toReversed().map((table) => [fingerprint(table), table]));
}

/**
 * Makes one weight again of a language model's embedding and its output head, where an exporter wrote the head as a
 * copy, perhaps transposed: the head that has the embedding's values to the bit becomes the embedding. No others are
 * tied, since layers that were copied, or begin alike, are equal by chance; nor tables of one repeated value.
 */
export function tieWeights(model: Model): { readonly model: Model; readonly tied: readonly Tie[] } {
  const { graph } = model;
  const weights = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const embeddings = embeddingsOf(model, weights);
  const equal = new Map<string, string>();
  const turned: Node[] = [];
  const tied: Tie[] = [];
  for (const head of embeddings.size > 0 ? headsOf(model, weights) : []) {
    const embedding = embeddings.get(fingerprint(head));
    if (!embedding || embedding.name === head.name) continue;
    if (!embedding.bits.every((value, index) => value === head.bits[index])) continue;
    tied.push({ head: head.name, embedding: embedding.name });
    if (head.turned) turned.push(plainNode('Transpose', [embedding.name], head.name, { perm: ints([1, 0]) }));
    else equal.set(head.name, embedding.name);
  }
  if (tied.length === 0) return { model, tied };
  const gone = new Set(tied.map(({ head }) => head));
  const rest = {
    ...graph,
    nodes: [...turned, ...graph.nodes],
    initializers: graph.initializers.filter(({ name }) => !gone.has(name)),
  };
  return { model: { ...model, graph: renameGraph(rest, (name) => equal.get(name) ?? name) }, tied };
}
