import {
  type Attributes,
  type Model,
  type Node,
  renameValues,
  subgraphsOf,
  type Tensor,
} from '@murmuration/onnx';

/** Operators that give something else each time. */
const random: ReadonlySet<string> = new Set([
  ...['RandomUniform', 'RandomUniformLike', 'RandomNormal', 'RandomNormalLike', 'Bernoulli', 'Multinomial'],
  'Dropout',
]);

/** Integer constants of equal type, shape and elements are equal; floats are parameters and stay apart. */
const constantKey = ({ type, shape, data, name }: Tensor): string =>
  type === 'int64' || data.length === 1 ? `${type}[${shape}]${data}` : `=${name}`;

const attributeKey = (attributes: Attributes): string =>
  Object.keys(attributes)
    .toSorted()
    .map((name) => {
      const attribute = attributes[name];
      return attribute?.kind === 'tensor'
        ? `${name}:${attribute.value.type}[${attribute.value.shape}]${attribute.value.data}`
        : `${name}:${JSON.stringify(attribute)}`;
    })
    .join();

const nodeKey = (node: Node): string =>
  [
    `${node.domain}:${node.operator}`,
    node.inputs.join(),
    attributeKey(node.attributes),
    node.outputs.map((output) => (output === '' ? 0 : 1)),
  ].join(';');

/**
 * Computes once what several nodes compute alike. The first of equal nodes stays; values that are graph outputs, and
 * those of subgraphs, keep their nodes.
 */
export function mergeEqualNodes(model: Model): Model {
  const { graph } = model;
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const renamed = new Map<string, string>();
  const rename = (value: string): string => renamed.get(value) ?? value;
  const first = new Map<string, readonly string[]>();
  const initializers: Tensor[] = [];
  for (const tensor of graph.initializers) {
    const key = constantKey(tensor);
    const known = first.get(key)?.[0];
    if (known === undefined || outputs.has(tensor.name)) {
      initializers.push(tensor);
      first.set(key, [tensor.name]);
    } else renamed.set(tensor.name, known);
  }
  const nodes: Node[] = [];
  for (const original of graph.nodes) {
    const node = renameValues(original, rename);
    const fixed =
      random.has(node.operator) ||
      subgraphsOf(node).length > 0 ||
      node.outputs.some((output) => outputs.has(output));
    const key = fixed ? '' : nodeKey(node);
    const known = fixed ? undefined : first.get(key);
    if (known) {
      for (const [index, output] of node.outputs.entries()) renamed.set(output, known[index] as string);
    } else {
      nodes.push(node);
      if (!fixed) first.set(key, node.outputs);
    }
  }
  return { ...model, graph: { ...graph, nodes, initializers } };
}
