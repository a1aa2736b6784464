import {
  type Attributes,
  type Graph,
  graphAttribute,
  ints,
  intsOf,
  type Model,
  type Node,
  usedValues,
} from '@murmuration/onnx';
import { type ScanParts, scanParts, stackedValues } from '../scan-node.ts';

/** Operators of a body whose results are kept for the way back, because computing them again is dear. */
const dear: ReadonlySet<string> = new Set([
  ...['MatMul', 'Gemm', 'FusedMatMul', 'Einsum', 'Conv', 'ConvTranspose', 'Scan'],
]);

/** Lists of axes or directions with entries for outputs that were added. */
function lengthened(node: Node, parts: ScanParts, added: number): Attributes {
  const extend = (name: string, value: number): Attributes => {
    const given = intsOf(node, name) ?? parts.outputs.map(() => 0);
    return { [name]: ints([...given, ...Array.from({ length: added }, () => value)]) };
  };
  return {
    ...(intsOf(node, 'scan_output_axes') ? extend('scan_output_axes', 0) : {}),
    ...(intsOf(node, 'scan_output_directions') || parts.direction !== 0
      ? extend('scan_output_directions', parts.direction)
      : {}),
  };
}

function exposeNode(node: Node): Node {
  const exposed: Node = {
    ...node,
    attributes: Object.fromEntries(
      Object.entries(node.attributes).map(([name, attribute]) => [
        name,
        attribute.kind === 'graph' ? graphAttribute(exposeGraph(attribute.value)) : attribute,
      ]),
    ),
  };
  const parts = scanParts(exposed);
  const { body } = parts;
  const known = stackedValues(parts);
  const products = body.nodes.filter(({ operator }) => dear.has(operator));
  const values = [
    ...parts.states.map(({ before }) => before),
    ...products.flatMap(({ outputs }) => outputs.filter((output) => output !== '')),
  ].filter((value) => !known.has(value));
  const types = new Map(body.inputs.map(({ name, type }) => [name, type]));
  const fallback = body.outputs[0]?.type ?? 'float32';
  const stem = node.outputs.find((output) => output !== '') ?? node.name;
  const copies = values.map(
    (value, index): Node => ({
      name: `${stem}.step${index}`,
      operator: 'Identity',
      domain: '',
      inputs: [value],
      outputs: [`${stem}.step${index}`],
      attributes: {},
    }),
  );
  const stepsBody: Graph = {
    ...body,
    nodes: [...body.nodes, ...copies],
    outputs: [
      ...body.outputs,
      ...values.map((value, index) => ({
        name: `${stem}.step${index}`,
        type: types.get(value) ?? fallback,
      })),
    ],
  };
  return {
    ...exposed,
    outputs: [
      ...Array.from(
        { length: body.outputs.length },
        (_, index) => node.outputs[index] || `${stem}.output${index}`,
      ),
      ...values.map((_, index) => `${stem}.steps${index}`),
    ],
    attributes: {
      ...exposed.attributes,
      ...lengthened(exposed, parts, values.length),
      body: graphAttribute(stepsBody),
    },
  };
}

const exposeGraph = (graph: Graph): Graph => ({
  ...graph,
  nodes: graph.nodes.map((node) =>
    node.operator === 'Scan' && node.domain === '' ? exposeNode(node) : node,
  ),
});

/**
 * Makes every Scan that a parameter reaches give, stacked, its states before each step and the products that its body
 * computes: what the way back through time starts from. `dropSteps` takes away again what nobody came to need.
 */
export function exposeSteps(model: Model, parameters: readonly string[]): Model {
  const reached = new Set(parameters);
  const nodes = model.graph.nodes.map((node) => {
    if (!usedValues(node).some((value) => reached.has(value))) return node;
    for (const output of node.outputs) if (output !== '') reached.add(output);
    return node.operator === 'Scan' && node.domain === '' ? exposeNode(node) : node;
  });
  return { ...model, graph: { ...model.graph, nodes } };
}
