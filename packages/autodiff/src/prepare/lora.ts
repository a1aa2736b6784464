/**
 * Low-rank adaptation as a rewriting of the graph. A product y = x·W of a chosen weight becomes
 * y = x·W + scale·(x·A)·B with A [in, rank] and B [rank, out]: the old product's output is renamed to `<y>.base`, the
 * new sum takes the name y, so nothing else changes. The inserted nodes are named `lora:…`, which is how
 * `mergeAdapters` finds them again; metadata `murmuration.lora` keeps what merging needs.
 */
import {
  allNames,
  createGraphBuilder,
  float,
  floatOf,
  type GraphBuilder,
  intOf,
  intsOf,
  type Model,
  type Node,
  type ParameterDeclaration,
  renameValues,
  type Tensor,
} from '@murmuration/onnx';
import { loraRankMax } from '../defaults.ts';
import { AutodiffError } from '../errors.ts';
import { plainNode } from '../plain-node.ts';
import { hasTexts, readMetadata } from './metadata.ts';
import { firstNames, matchesPattern } from './patterns.ts';
import type { Trainable } from './trainable.ts';

/** The metadata key under which adapters are listed, as JSON. */
export const adaptersKey = 'murmuration.lora';

const insertedPrefix = 'lora:';

/** One adapted weight. */
export interface Adapter {
  readonly weight: string;
  readonly a: string;
  readonly b: string;
  readonly scale: number;
  /** Whether the weight lies as [out, in]. */
  readonly transposed: boolean;
}

type Lora = Extract<Trainable, { readonly kind: 'lora' }>;

/** A product with a weight: by itself, or behind a transposition. */
interface Product {
  readonly node: Node;
  readonly weight: Tensor;
  readonly transposed: boolean;
}

const isProduct = ({ operator }: Node): boolean => operator === 'MatMul' || operator === 'Gemm';

const swaps = (node: Node | undefined): node is Node =>
  node?.operator === 'Transpose' && (intsOf(node, 'perm') ?? [1, 0]).join() === '1,0';

function productsOf(model: Model): readonly Product[] {
  const weights = new Map(
    model.graph.initializers
      .filter(({ type, shape }) => type === 'float32' && shape.length === 2)
      .map((tensor) => [tensor.name, tensor]),
  );
  const producers = new Map(model.graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
  return model.graph.nodes.flatMap((node): readonly Product[] => {
    const input = node.inputs[1] ?? '';
    if (!isProduct(node) || intOf(node, 'transA', 0) === 1) return [];
    const producer = producers.get(input);
    const turned = swaps(producer);
    const weight = weights.get(turned ? (producer?.inputs[0] ?? '') : input);
    return weight ? [{ node, weight, transposed: turned !== (intOf(node, 'transB', 0) === 1) }] : [];
  });
}

const lastDimensions = ({ weight, transposed }: Product): readonly [number, number] => {
  const [first = 0, second = 0] = weight.shape;
  return transposed ? [second, first] : [first, second];
};

/** What trains, and the graph with adapters. */
export interface WithAdapters {
  readonly model: Model;
  readonly declarations: readonly ParameterDeclaration[];
}

function checkSizes({ rank, alpha }: Lora): void {
  if (!Number.isSafeInteger(rank) || rank < 1 || rank > loraRankMax)
    throw new AutodiffError(`lora: expected a rank from 1 to ${loraRankMax}, got ${rank}`, {
      code: 'bad-request',
      rank,
    });
  if (alpha !== undefined && !(alpha > 0 && alpha < Number.POSITIVE_INFINITY))
    throw new AutodiffError(`lora: expected a positive alpha, got ${alpha}`, { code: 'bad-request', alpha });
}

/** What `mergeAdapters` goes by must be ours alone: no other adapters, and no other nodes of such a name. */
function checkNames({ graph }: Model): void {
  const clash = graph.nodes.find(({ name }) => name.startsWith(insertedPrefix));
  if (clash)
    throw new AutodiffError(
      `lora: expected no nodes with names that begin with ${insertedPrefix}, got ${clash.name}`,
      { code: 'bad-request', node: clash.name },
    );
}

function chooseProducts(model: Model, targets: readonly string[]): readonly Product[] {
  const all = productsOf(model);
  const matches = ({ weight, node }: Product, pattern: string): boolean =>
    matchesPattern(weight.name, [pattern]) || matchesPattern(node.name, [pattern]);
  const idle = targets.find((pattern) => !all.some((product) => matches(product, pattern)));
  if (idle !== undefined || targets.length === 0)
    throw new AutodiffError(
      `lora: expected targets among the matrix products' weights, got ${JSON.stringify(idle ?? '')}; there are ` +
        firstNames(new Set(all.map(({ weight }) => weight.name))),
      { code: 'bad-request', targets },
    );
  return all.filter((product) => targets.some((pattern) => matches(product, pattern)));
}

/**
 * Puts adapters beside the products that `lora.targets` choose. A begins uniform within ±1/√in, B at zero, so that the
 * graph computes what it did. Throws `AutodiffError` `bad-request` when a target is no two-dimensional weight of a
 * MatMul or Gemm, or when a name that adapters have is taken.
 */
export function attachAdapters(model: Model, lora: Lora): WithAdapters {
  checkSizes(lora);
  checkNames(model);
  const chosen = chooseProducts(model, lora.targets);
  const scale = (lora.alpha ?? 2 * lora.rank) / lora.rank;
  const builder = createGraphBuilder(model.graph.name, model);
  const names = allNames(model.graph);
  const adapters = new Map<string, Adapter>();
  const declarations: ParameterDeclaration[] = [];
  const adapterOf = (product: Product): Adapter => {
    const known = adapters.get(product.weight.name);
    if (known && known.transposed !== product.transposed)
      throw new AutodiffError(
        `lora: weight ${product.weight.name} is used both as [in, out] and as [out, in]: expected one of them`,
        { code: 'bad-request', weight: product.weight.name },
      );
    if (known) return known;
    const [from, to] = lastDimensions(product);
    const { name } = product.weight;
    const declare = (suffix: string, shape: readonly number[], limit: number): string => {
      const parameter = `lora.${name}.${suffix}`;
      if (names.has(parameter))
        throw new AutodiffError(`lora: expected the name ${parameter} to be free, got a value of that name`, {
          code: 'bad-request',
          name: parameter,
        });
      const initial =
        limit === 0 ? ({ kind: 'constant', value: 0 } as const) : ({ kind: 'uniform', limit } as const);
      declarations.push({ name: parameter, shape, initial, decays: true });
      return builder.input(parameter, 'float32', shape);
    };
    const adapter = {
      weight: name,
      a: declare('a', [from, lora.rank], 1 / Math.sqrt(from)),
      b: declare('b', [lora.rank, to], 0),
      scale,
      transposed: product.transposed,
    };
    adapters.set(name, adapter);
    return adapter;
  };
  const byNode = new Map(chosen.map((product) => [product.node, product]));
  const nodes = model.graph.nodes.flatMap((node): readonly Node[] => {
    const product = byNode.get(node);
    return product ? adapted(node, adapterOf(product), builder) : [node];
  });
  const made = builder.model({ [adaptersKey]: JSON.stringify([...adapters.values()]) });
  return { model: { ...made, graph: { ...made.graph, nodes } }, declarations };
}

/** y = base + (x·A·scale)·B, as nodes around the product. */
function adapted(node: Node, adapter: Adapter, builder: GraphBuilder): readonly Node[] {
  const y = node.outputs[0] as string;
  const x = node.inputs[0] as string;
  const base = `${y}.base`;
  const added = (operator: string, inputs: readonly string[], output: string): Node => ({
    ...plainNode(operator, inputs, output),
    name: `${insertedPrefix}${output}`,
  });
  const plain: Node = { ...node, outputs: [base] };
  if (node.operator === 'Gemm')
    return [
      plain,
      {
        ...added('Gemm', [x, adapter.a], `${y}.down`),
        attributes: { alpha: float(adapter.scale * floatOf(node, 'alpha', 1)) },
      },
      added('Gemm', [`${y}.down`, adapter.b, base], y),
    ];
  return [
    plain,
    added('MatMul', [x, adapter.a], `${y}.down`),
    added('Mul', [`${y}.down`, builder.float32(adapter.scale)], `${y}.scaled`),
    added('MatMul', [`${y}.scaled`, adapter.b], `${y}.up`),
    added('Add', [base, `${y}.up`], y),
  ];
}

const isAdapters = (value: unknown): value is readonly Adapter[] =>
  Array.isArray(value) &&
  value.every(
    (entry: unknown) =>
      hasTexts(entry, 'weight', 'a', 'b') &&
      Number.isFinite((entry as { scale?: unknown }).scale) &&
      typeof (entry as { transposed?: unknown }).transposed === 'boolean',
  );

/** Throws unless three float32 matrices have the sizes of a weight and its adapter. */
function checkShapes(weight: Tensor, a: Tensor, b: Tensor, transposed: boolean): void {
  const [from, rank] = a.shape;
  const to = b.shape[1];
  const fits =
    [weight, a, b].every(({ type, shape }) => type === 'float32' && shape.length === 2) &&
    b.shape[0] === rank &&
    weight.shape.join() === (transposed ? [to, from] : [from, to]).join();
  if (!fits)
    throw new AutodiffError(
      `lora: expected float32 matrices [in, rank] and [rank, out] beside ${weight.name} [${weight.shape}], ` +
        `got [${a.shape}] and [${b.shape}]`,
      { code: 'bad-request', weight: weight.name },
    );
}

/** W + scale·A·B, row by row; sums in double precision. */
function mergedWeight(weight: Tensor, a: Tensor, b: Tensor, { scale, transposed }: Adapter): Tensor {
  checkShapes(weight, a, b, transposed);
  const [from = 0, rank = 0] = a.shape;
  const to = b.shape[1] ?? 0;
  const down = a.data as Float32Array;
  const up = b.data as Float32Array;
  const data = Float32Array.from(weight.data as Float32Array);
  for (let i = 0; i < from; i++)
    for (let j = 0; j < to; j++) {
      let sum = 0;
      for (let r = 0; r < rank; r++) sum += (down[i * rank + r] as number) * (up[r * to + j] as number);
      const at = transposed ? j * from + i : i * to + j;
      data[at] = (data[at] as number) + scale * sum;
    }
  return { ...weight, data };
}

/**
 * Merges adapters into their weights: the model, whose weights and adapters are all initializers, gets its old nodes
 * back with W + scale·A·B as weights. A model without adapters is given back as it is. Throws `AutodiffError`
 * `bad-request` for adapters that are not there, or do not fit their weights.
 */
export function mergeAdapters(model: Model): Model {
  const expected = 'a list of adapters';
  const adapters = readMetadata(model, { key: adaptersKey, expected, holds: isAdapters }) ?? [];
  if (adapters.length === 0) return model;
  const tensors = new Map(model.graph.initializers.map((tensor) => [tensor.name, tensor]));
  const tensor = (name: string): Tensor => {
    const found = tensors.get(name);
    if (found) return found;
    throw new AutodiffError(`lora: expected the weight ${name} inside the model, got none`, {
      code: 'bad-request',
      name,
    });
  };
  const merged = new Map(
    adapters.map((adapter) => [
      adapter.weight,
      mergedWeight(tensor(adapter.weight), tensor(adapter.a), tensor(adapter.b), adapter),
    ]),
  );
  const dropped = new Set(adapters.flatMap(({ a, b }) => [a, b]));
  const isInserted = ({ name }: Node): boolean => name.startsWith(insertedPrefix);
  const inserted = model.graph.nodes.filter(isInserted);
  const sums = new Map(inserted.flatMap(({ outputs }) => outputs.map((y) => [`${y}.base`, y])));
  const nodes = model.graph.nodes
    .filter((node) => !isInserted(node))
    .map((node) => renameValues(node, (name) => sums.get(name) ?? name));
  const initializers = model.graph.initializers
    .filter(({ name }) => !dropped.has(name))
    .map((each) => merged.get(each.name) ?? each);
  const { [adaptersKey]: _, ...metadata } = model.metadata;
  return { ...model, metadata, graph: { ...model.graph, nodes, initializers } };
}
