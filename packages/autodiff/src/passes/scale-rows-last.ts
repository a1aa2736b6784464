/**
 * The gradient of a cross-entropy by its scores is r·(softmax − one at the target), with a factor r per row. With a
 * large vocabulary that is the largest value of a step, and rules make it in three copies: exp of the
 * log-probabilities, times r, minus r at the targets. Here one copy is enough: a softmax of log-probabilities is the
 * softmax itself, and onnxruntime computes it in place, as it does the subtraction of 1; r moves behind (or before) the
 * products of matrices that read the gradient, where it meets far smaller matrices.
 */
import {
  inferShapes,
  int,
  intOf,
  type Model,
  type Node,
  pruneModel,
  tensorAttribute,
  textOf,
  usedValues,
} from '@murmuration/onnx';
import { plainNode } from '../plain-node.ts';
import { freshNames } from './fresh-names.ts';
import { expressionsOf } from './pattern.ts';

/** The parts of one gradient: `gradient` = `rows` · (exp(`logarithms`) − one at `indices`). */
interface LossGradient {
  readonly gradient: Node;
  readonly logarithms: string;
  readonly rows: string;
}

/** A product with the factor taken out of one of its matrices, in one or two nodes. */
type Rewrite = (fresh: (stem: string) => string) => readonly Node[];

const products: ReadonlySet<string> = new Set(['Gemm', 'MatMul', 'FusedMatMul']);

/** How a product reads a gradient whose rows are still to be multiplied; undefined where they are no rows to it. */
function rewriteProduct(node: Node, gradient: string, rows: string): Rewrite | undefined {
  const [a = '', b = '', addend] = node.inputs;
  const isTransposed = (name: string): boolean => intOf(node, name, 0) === 1;
  const scaledInput =
    (index: 0 | 1): Rewrite =>
    (fresh) => {
      const scaled = fresh(`${node.name}.rows`);
      const inputs = node.inputs.map((input, at) => (at === index ? scaled : input));
      return [plainNode('Mul', [node.inputs[index] ?? '', rows], scaled), { ...node, inputs }];
    };
  if (a === b || !products.has(node.operator) || isTransposed('transBatchA') || isTransposed('transBatchB'))
    return undefined;
  if (a === gradient && isTransposed('transA')) return isTransposed('transB') ? undefined : scaledInput(1);
  if (b === gradient) return isTransposed('transA') && !isTransposed('transB') ? scaledInput(0) : undefined;
  if (addend) return undefined;
  return (fresh) => {
    const product = fresh(`${node.name}.rows`);
    return [
      { ...node, name: product, outputs: [product] },
      plainNode('Mul', [product, rows], node.outputs[0] ?? ''),
    ];
  };
}

/** Rewrites the gradients of cross-entropies whose readers are all products of matrices. */
export function scaleRowsLast(model: Model): Model {
  const { graph } = model;
  const known = inferShapes(model);
  const { producerOf, scalarOf } = expressionsOf(model);
  const isNegative = (left: string, right: string): boolean => {
    const [one, other] = [producerOf(left), producerOf(right)];
    return (
      (one?.operator === 'Neg' && one.inputs[0] === right) ||
      (other?.operator === 'Neg' && other.inputs[0] === left) ||
      (scalarOf(left) !== undefined && scalarOf(left) === -(scalarOf(right) ?? Number.NaN))
    );
  };

  const lossGradient = (gradient: Node): LossGradient | undefined => {
    const [dense = '', indices = '', values = ''] = gradient.inputs;
    const product = producerOf(dense);
    const isAdding =
      gradient.operator === 'ScatterElements' && textOf(gradient, 'reduction', 'none') === 'add';
    if (!isAdding || product?.operator !== 'Mul') return undefined;
    const exponential = product.inputs.find((input) => producerOf(input)?.operator === 'Exp');
    const rows = product.inputs.find((input) => input !== exponential);
    const logarithms = exponential && producerOf(exponential)?.inputs[0];
    const source = logarithms === undefined ? undefined : producerOf(logarithms);
    if (!logarithms || !rows || !source || !isNegative(rows, values)) return undefined;
    const shape = known.get(logarithms)?.shape;
    const ofRows = known.get(rows)?.shape;
    const ofIndices = known.get(indices)?.shape;
    const isMatrix =
      shape?.length === 2 &&
      known.get(logarithms)?.type === 'float32' &&
      [1, -1].includes(intOf(gradient, 'axis', 0));
    const isColumn = ofRows?.length === 2 && ofRows[1] === 1 && ofIndices?.[1] === 1;
    const isLastAxis = source.operator === 'LogSoftmax' && [1, -1].includes(intOf(source, 'axis', -1));
    const isLogarithms =
      isLastAxis || (source.operator === 'SoftmaxCrossEntropyLoss' && source.outputs[1] === logarithms);
    return isMatrix && isColumn && isLogarithms ? { gradient, logarithms, rows } : undefined;
  };

  const fresh = freshNames(graph);
  const outputs = graph.outputs.map(({ name }) => name);
  const replaced = new Map<Node, readonly Node[]>();
  for (const node of graph.nodes) {
    const found = lossGradient(node);
    const [value = ''] = node.outputs;
    if (!found || outputs.includes(value)) continue;
    const readers = graph.nodes.filter((reader) => usedValues(reader).includes(value));
    const rewrites = readers.map((reader) => rewriteProduct(reader, value, found.rows));
    if (rewrites.some((rewrite) => rewrite === undefined)) continue;
    replaced.set(node, oneCopy(found, fresh));
    readers.forEach((reader, index) => {
      replaced.set(reader, rewrites[index]?.(fresh) ?? [reader]);
    });
  }
  if (replaced.size === 0) return model;
  const nodes = graph.nodes.flatMap((node) => replaced.get(node) ?? [node]);
  return pruneModel({ ...model, graph: { ...graph, nodes } }, outputs);
}

/** softmax − one at the targets. */
function oneCopy(
  { gradient, logarithms, rows }: LossGradient,
  fresh: (stem: string) => string,
): readonly Node[] {
  const [, indices = ''] = gradient.inputs;
  const probabilities = fresh(`${gradient.name}.softmax`);
  const minusOnes = fresh(`${gradient.name}.minusOnes`);
  const shape = fresh(`${gradient.name}.shape`);
  const minusOne = { name: '', type: 'float32', shape: [1], data: Float32Array.of(-1) } as const;
  return [
    plainNode('Softmax', [logarithms], probabilities, { axis: int(1) }),
    plainNode('Shape', [rows], shape),
    plainNode('ConstantOfShape', [shape], minusOnes, { value: tensorAttribute(minusOne) }),
    { ...gradient, inputs: [probabilities, indices, minusOnes] },
  ];
}
