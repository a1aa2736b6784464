import { ints, type Model, type Node, renameGraph, type Tensor } from '@murmuration/onnx';
import { plainNode } from '../plain-node.ts';

const isMatrix = ({ type, shape, data }: Tensor): boolean =>
  type === 'float32' && shape.length === 2 && data.some((value) => value !== data[0]);

/** What a matrix and its transpose have in common, and few others: the sizes, and the sum of the elements' bits. */
function fingerprint({ shape, data }: Tensor): string {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  let sum = 0;
  for (let i = 0; i < bits.length; i++) sum = (sum + (bits[i] as number)) >>> 0;
  return `${shape.toSorted((left, right) => left - right)}:${sum}`;
}

/** Whether `copy` is `matrix`, or its transpose. */
function relation(matrix: Tensor, copy: Tensor): 'equal' | 'transposed' | undefined {
  const [rows = 0, columns = 0] = matrix.shape;
  const [left, right] = [matrix.data as Float32Array, copy.data as Float32Array];
  if (copy.shape[0] === rows && copy.shape[1] === columns && left.every((value, i) => value === right[i]))
    return 'equal';
  const turned =
    copy.shape[0] === columns &&
    copy.shape[1] === rows &&
    left.every((value, i) => value === right[(i % columns) * rows + Math.floor(i / columns)]);
  return turned ? 'transposed' : undefined;
}

/**
 * Makes one weight again of those that an exporter wrote twice, such as an embedding that is the output layer too: a
 * matrix with the values of an earlier one, or of its transpose, is replaced by it. Matrices of one repeated value stay
 * apart, they may be equal by chance.
 */
export function tieWeights(model: Model): Model {
  const { graph } = model;
  const kept = new Map<string, Tensor[]>();
  const equal = new Map<string, string>();
  const turned: Node[] = [];
  for (const tensor of graph.initializers) {
    if (!isMatrix(tensor)) continue;
    const key = fingerprint(tensor);
    const alike = kept.get(key) ?? [];
    const matrix = alike.find((each) => relation(each, tensor));
    if (!matrix) kept.set(key, [...alike, tensor]);
    else if (relation(matrix, tensor) === 'equal') equal.set(tensor.name, matrix.name);
    else turned.push(plainNode('Transpose', [matrix.name], tensor.name, { perm: ints([1, 0]) }));
  }
  if (equal.size === 0 && turned.length === 0) return model;
  const gone = new Set([...equal.keys(), ...turned.map(({ name }) => name)]);
  const tied = {
    ...graph,
    nodes: [...turned, ...graph.nodes],
    initializers: graph.initializers.filter(({ name }) => !gone.has(name)),
  };
  return { ...model, graph: renameGraph(tied, (name) => equal.get(name) ?? name) };
}
