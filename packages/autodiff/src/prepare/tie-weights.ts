import { ints, type Model, type Node, renameGraph, type Tensor } from '@murmuration/onnx';

const isMatrix = ({ type, shape, data }: Tensor): boolean =>
  type === 'float32' && shape.length === 2 && data.some((value) => value !== data[0]);

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
  const kept: Tensor[] = [];
  const equal = new Map<string, string>();
  const turned: Node[] = [];
  for (const tensor of graph.initializers) {
    const matches = isMatrix(tensor)
      ? kept.flatMap((matrix) => {
          const kind = relation(matrix, tensor);
          return kind ? [{ matrix: matrix.name, kind }] : [];
        })
      : [];
    const [first] = matches;
    if (first?.kind === 'equal') equal.set(tensor.name, first.matrix);
    else if (first)
      turned.push({
        name: tensor.name,
        operator: 'Transpose',
        domain: '',
        inputs: [first.matrix],
        outputs: [tensor.name],
        attributes: { perm: ints([1, 0]) },
      });
    else if (isMatrix(tensor)) kept.push(tensor);
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
