import { describeNode } from './describe-node.ts';
import { OnnxError } from './errors.ts';
import { inferShapes } from './infer-shapes.ts';
import type { Graph, Model } from './model.ts';
import { allNodes, givenNames, subgraphsOf } from './subgraphs.ts';
import { countOf } from './tensor-data.ts';

/** One requirement on a model: gives what is wrong, if anything is. */
interface Requirement {
  readonly name: string;
  readonly problem: (model: Model) => string | undefined;
}

function firstRepeated(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => seen.size === seen.add(name).size);
}

/** The graph and those inside it. */
const graphsOf = (model: Model): readonly Graph[] => [model.graph, ...allNodes(model).flatMap(subgraphsOf)];

/** The first problem of any of the model's graphs. */
function anywhere(model: Model, problem: (graph: Graph) => string | undefined): string | undefined {
  for (const graph of graphsOf(model)) {
    const found = problem(graph);
    if (found !== undefined) return found;
  }
  return undefined;
}

function orderProblem(graph: Graph, outside: (name: string) => boolean): string | undefined {
  const all = new Set(givenNames(graph));
  const before = new Set([...graph.inputs, ...graph.initializers].map(({ name }) => name));
  const isGiven = (name: string): boolean => before.has(name) || (!all.has(name) && outside(name));
  for (const node of graph.nodes) {
    const early = node.inputs.find((input) => input !== '' && !isGiven(input));
    if (early !== undefined)
      return all.has(early)
        ? `${describeNode(node)} uses ${early} before it is computed: expected an order without cycles`
        : `${describeNode(node)} uses ${early}, which nothing gives`;
    for (const inner of subgraphsOf(node)) {
      const problem = orderProblem(inner, isGiven);
      if (problem !== undefined) return problem;
    }
    for (const output of node.outputs) before.add(output);
  }
  const missing = graph.outputs.find(({ name }) => !isGiven(name));
  return missing && `output ${missing.name}: nothing gives it`;
}

function outputProblem(model: Model): string | undefined {
  const known = inferShapes(model);
  for (const { name, type, shape } of model.graph.outputs) {
    const found = known.get(name);
    const clash = shape?.some((dimension, axis) => {
      const inferred = found?.shape?.[axis];
      return typeof dimension === 'number' && typeof inferred === 'number' && dimension !== inferred;
    });
    const sameRank = !shape || !found?.shape || shape.length === found.shape.length;
    if (clash || !sameRank) return `output ${name}: declared as [${shape}], computed as [${found?.shape}]`;
    if (found?.shape && found.type !== type)
      return `output ${name}: declared as ${type}, computed as ${found.type}`;
  }
  return undefined;
}

/** What makes a model valid, cheap requirements first. */
const requirements: readonly Requirement[] = [
  {
    name: 'opset of every domain',
    problem: (model) => {
      const node = allNodes(model).find(({ domain }) => !Object.hasOwn(model.opsets, domain));
      return node && `${describeNode(node)} is of domain "${node.domain}", which has no opset version`;
    },
  },
  {
    name: 'named values and operators',
    problem: (model) =>
      anywhere(model, (graph) => {
        const values = [...graph.inputs, ...graph.outputs, ...graph.initializers];
        if (values.some(({ name }) => name === '')) return 'an input, output or initializer has no name';
        const node = graph.nodes.find(({ operator }) => operator === '');
        return node && `node ${JSON.stringify(node.name)} has no operator`;
      }),
  },
  {
    name: 'unique names',
    problem: (model) => {
      const repeated = anywhere(model, (graph) => {
        const name = firstRepeated(givenNames(graph));
        return name === undefined ? undefined : `${name} is given twice`;
      });
      const output = firstRepeated(model.graph.outputs.map(({ name }) => name));
      return repeated ?? (output === undefined ? undefined : `output ${output} is declared twice`);
    },
  },
  {
    name: 'full initializers',
    problem: (model) =>
      anywhere(model, ({ initializers }) => {
        const tensor = initializers.find(({ shape, data }) => countOf(shape) !== data.length);
        return (
          tensor && `initializer ${tensor.name}: ${tensor.data.length} values for shape [${tensor.shape}]`
        );
      }),
  },
  { name: 'order', problem: ({ graph }) => orderProblem(graph, () => false) },
  { name: 'outputs', problem: outputProblem },
];

/**
 * Checks that a model is valid: names are unique, everything is computed before it is used (so there are no cycles),
 * shapes do not contradict each other, outputs exist. Throws `OnnxError` `invalid-model` that says what is wrong.
 */
export function checkModel(model: Model): void {
  for (const { name, problem } of requirements) {
    const found = problem(model);
    if (found !== undefined)
      throw new OnnxError(`ONNX model: ${found}`, { code: 'invalid-model', requirement: name });
  }
}
