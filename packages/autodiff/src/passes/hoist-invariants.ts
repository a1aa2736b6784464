import {
  allNames,
  type Graph,
  graphAttribute,
  type Model,
  mapSubgraphs,
  type Node,
  renameGraph,
} from '@murmuration/onnx';
import { plainNode } from '../plain-node.ts';
import { repeats, scanParts } from '../scan-node.ts';

const copyOf = (value: string, name: string): Node => plainNode('Identity', [value], name);

/** A repetition without the states that every step hands on as they are: its body takes them from outside. */
function hoisted(node: Node): readonly Node[] {
  const { body, states, first } = scanParts(node);
  const copies = new Map(
    body.nodes.flatMap(({ operator, inputs, outputs }): [string, string][] =>
      operator === 'Identity' ? [[outputs[0] as string, inputs[0] as string]] : [],
    ),
  );
  const taken = allNames(body);
  const invariant = states.map(
    ({ before, after, initial }) => (copies.get(after) ?? after) === before && !taken.has(initial),
  );
  if (!invariant.includes(true)) return [node];
  const given = first === 0 ? 0 : 1;
  const kept = <T>(list: readonly T[], offset: number): readonly T[] =>
    list.filter((_, index) => invariant[index - offset] !== true);
  const outside = new Map(
    states.flatMap(({ before, initial }, index): [string, string][] =>
      invariant[index] ? [[before, initial]] : [],
    ),
  );
  const outputs = kept(body.outputs, given).map((output) =>
    outside.has(output.name) ? { ...output, name: `${output.name}.copy` } : output,
  );
  const added = kept(body.outputs, given)
    .filter(({ name }) => outside.has(name))
    .map(({ name }) => copyOf(name, `${name}.copy`));
  const smaller: Graph = {
    ...body,
    inputs: kept(body.inputs, first),
    nodes: [...body.nodes, ...added],
    outputs,
  };
  const inner = renameGraph(smaller, (name) => outside.get(name) ?? name);
  const finals = states.filter(({ final }, index) => invariant[index] && final !== '');
  return [
    ...finals.map(({ final, initial }) => copyOf(initial, final)),
    {
      ...node,
      inputs: kept(node.inputs, first),
      outputs: kept(node.outputs, 0),
      attributes: { ...node.attributes, body: graphAttribute(inner) },
    },
  ];
}

const hoistIn = (graph: Graph): Graph => ({
  ...graph,
  nodes: graph.nodes.flatMap((node) => {
    const inside = { ...node, attributes: mapSubgraphs(node.attributes, hoistIn) };
    return repeats(node) ? hoisted(inside) : [inside];
  }),
});

/**
 * Frees Scan and Loop from states that never change, as exporters write weights: as values from outside they need not
 * be kept at each step, and their gradients are one product over all steps.
 */
export const hoistInvariants = (model: Model): Model => ({ ...model, graph: hoistIn(model.graph) });
