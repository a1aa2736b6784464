import {
  type Attributes,
  type Model,
  type Node,
  renameValues,
  type Tensor,
  type TensorData,
} from '@murmuration/onnx';
import { isRepeatable } from './repeat-nodes.ts';

/** A number's text, in which 0 and −0 differ, and what is no number has one too. */
const numberKey = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

const dataKey = (data: TensorData): string =>
  data instanceof Float32Array || data instanceof Float64Array
    ? Array.from(data, numberKey).join()
    : data.join();

const tensorKey = ({ type, shape, data }: Tensor): string => `${type}[${shape}]${dataKey(data)}`;

/** Integer constants of equal type, shape and elements are equal, and so are single floats; others stay apart. */
const constantKey = (tensor: Tensor): string =>
  tensor.type === 'int64' || tensor.data.length === 1 ? tensorKey(tensor) : `=${tensor.name}`;

const attributeKeys = (attributes: Attributes): readonly string[] =>
  Object.entries(attributes)
    .map(([name, attribute]) =>
      attribute.kind === 'tensor'
        ? `${name}:${tensorKey(attribute.value)}`
        : `${name}:${JSON.stringify(attribute, (_, value) => (typeof value === 'number' ? numberKey(value) : value))}`,
    )
    .toSorted();

const nodeKey = ({ domain, operator, inputs, outputs, attributes }: Node): string =>
  JSON.stringify([
    domain,
    operator,
    inputs,
    outputs.map((output) => output === ''),
    attributeKeys(attributes),
  ]);

/**
 * Computes once what several nodes compute alike. The first of equal nodes stays; parameters and other inputs stay
 * apart whatever they begin with; values that are graph outputs, and those of subgraphs, keep their nodes.
 */
export function mergeEqualNodes(model: Model, parameters: readonly string[]): Model {
  const { graph } = model;
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const given = new Set([...parameters, ...graph.inputs.map(({ name }) => name)]);
  const renamed = new Map<string, string>();
  const rename = (value: string): string => renamed.get(value) ?? value;
  const first = new Map<string, readonly string[]>();
  const initializers: Tensor[] = [];
  for (const tensor of graph.initializers) {
    const key = given.has(tensor.name) ? `=${tensor.name}` : constantKey(tensor);
    const known = first.get(key)?.[0];
    if (known === undefined || outputs.has(tensor.name)) {
      initializers.push(tensor);
      first.set(key, [tensor.name]);
    } else renamed.set(tensor.name, known);
  }
  const nodes: Node[] = [];
  for (const original of graph.nodes) {
    const node = renameValues(original, rename);
    const fixed = !isRepeatable(node) || node.outputs.some((output) => outputs.has(output));
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
