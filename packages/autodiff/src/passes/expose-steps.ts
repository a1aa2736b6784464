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
import { type Backward, createBackward } from '../backward.ts';
import { plainNode } from '../plain-node.ts';
import { bodyModel, repeats, type ScanParts, scanParts, stackedValues } from '../scan-node.ts';

/** Operators of a body whose results are kept for the way back, because computing them again is dear. */
const dear: ReadonlySet<string> = new Set([
  ...['MatMul', 'Gemm', 'FusedMatMul', 'Einsum', 'Conv', 'ConvTranspose', 'Scan', 'Loop'],
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

function exposeNode(original: Node, backward: Backward): Node {
  const outer = scanParts(original);
  const model = bodyModel(backward, outer, []);
  const inside = createBackward(model);
  const nodes = outer.body.nodes.map((node) => (repeats(node) ? exposeNode(node, inside) : node));
  const node = {
    ...original,
    attributes: { ...original.attributes, body: graphAttribute({ ...outer.body, nodes }) },
  };
  const parts = scanParts(node);
  const known = stackedValues(parts);
  const types = createBackward({ ...model, graph: { ...model.graph, nodes } });
  const products = nodes.filter(({ operator }) => dear.has(operator));
  const values = [
    ...parts.counters,
    ...parts.states.map(({ before }) => before),
    ...products.flatMap(({ outputs }) => outputs.filter((output) => output !== '')),
  ].filter((value) => !known.has(value));
  const stem = node.outputs.find((output) => output !== '') ?? node.name;
  const copies = values.map((value, index) => plainNode('Identity', [value], `${stem}.step${index}`));
  const body: Graph = {
    ...parts.body,
    nodes: [...nodes, ...copies],
    outputs: [
      ...parts.body.outputs,
      ...values.map((value, index) => ({ name: `${stem}.step${index}`, type: types.typeOf(value) })),
    ],
  };
  return {
    ...node,
    outputs: [
      ...Array.from(
        { length: parts.states.length + parts.outputs.length },
        (_, index) => node.outputs[index] || `${stem}.output${index}`,
      ),
      ...values.map((_, index) => `${stem}.steps${index}`),
    ],
    attributes: {
      ...node.attributes,
      ...(node.operator === 'Scan' ? lengthened(node, parts, values.length) : {}),
      body: graphAttribute(body),
    },
  };
}

/**
 * Makes every Scan and Loop that a parameter reaches give, stacked, its states before each step and the products that
 * its body computes: what the way back through time starts from. `dropSteps` takes away again what nobody came to need.
 */
export function exposeSteps(model: Model, parameters: readonly string[]): Model {
  if (!model.graph.nodes.some(repeats)) return model;
  const backward = createBackward(model);
  const reached = new Set(parameters);
  const nodes = model.graph.nodes.map((node) => {
    if (!usedValues(node).some((value) => reached.has(value))) return node;
    for (const output of node.outputs) if (output !== '') reached.add(output);
    return repeats(node) ? exposeNode(node, backward) : node;
  });
  return { ...model, graph: { ...model.graph, nodes } };
}
