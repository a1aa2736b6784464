import {
  allNames,
  capturedValues,
  type Graph,
  givenNames,
  graphAttribute,
  type Node,
  renameGraph,
  usedValues,
} from '@murmuration/onnx';
import { type Backward, createBackward } from '../backward.ts';
import { bodyModel, repeats, scanParts } from '../scan-node.ts';
import type { Pass } from './table.ts';

/** A Scan with its body rewritten as if it were a model whose inputs are all trained. */
function rewritten(node: Node, backward: Backward, pass: Pass, names: ReadonlySet<string>): Node {
  const parts = scanParts(node);
  const { body } = parts;
  const captured = new Set(capturedValues(body));
  const model = bodyModel(backward, parts, []);
  const { graph } = pass(
    model,
    model.graph.inputs.filter(({ type }) => /^float/.test(type)).map(({ name }) => name),
  );
  if (graph === model.graph) return node;
  const own = allNames(body);
  const result: Graph = {
    ...body,
    nodes: graph.nodes,
    initializers: graph.initializers.filter(({ name }) => !captured.has(name)),
  };
  const added = new Set(givenNames(result).filter((name) => !own.has(name) && names.has(name)));
  const stem = node.outputs.find((output) => output !== '') ?? 'scan';
  const value = renameGraph(result, (name) => (added.has(name) ? `${stem}/${name}` : name));
  return { ...node, attributes: { ...node.attributes, body: graphAttribute(value) } };
}

/** A pass that applies another one to the bodies of all Scans and Loops that a parameter reaches, at any depth. */
export function insideScans(pass: Pass): Pass {
  const inside: Pass = (model, parameters) => {
    if (!model.graph.nodes.some(repeats)) return model;
    const reached = new Set(parameters);
    const backward = createBackward(model);
    const names = allNames(model.graph);
    const both: Pass = (body, values) => inside(pass(body, values), values);
    const nodes = model.graph.nodes.map((node) => {
      if (!usedValues(node).some((value) => reached.has(value))) return node;
      for (const output of node.outputs) reached.add(output);
      return repeats(node) ? rewritten(node, backward, both, names) : node;
    });
    return { ...model, graph: { ...model.graph, nodes } };
  };
  return inside;
}
