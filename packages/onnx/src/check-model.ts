import { OnnxError } from './errors.ts';
import { inferShapes } from './infer-shapes.ts';
import type { Model } from './model.ts';
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

const givenNames = ({ graph }: Model): readonly string[] => [
  ...graph.inputs.map(({ name }) => name),
  ...graph.initializers.map(({ name }) => name),
  ...graph.nodes.flatMap(({ outputs }) => outputs.filter((output) => output !== '')),
];

function orderProblem(model: Model): string | undefined {
  const { graph } = model;
  const all = new Set(givenNames(model));
  const before = new Set([...graph.inputs, ...graph.initializers].map(({ name }) => name));
  for (const node of graph.nodes) {
    const early = node.inputs.find((input) => input !== '' && !before.has(input));
    if (early !== undefined)
      return all.has(early)
        ? `node ${node.name} (${node.operator}) uses ${early} before it is computed: expected an order without cycles`
        : `node ${node.name} (${node.operator}) uses ${early}, which nothing gives`;
    for (const output of node.outputs) before.add(output);
  }
  return undefined;
}

function outputProblem(model: Model): string | undefined {
  const given = new Set(givenNames(model));
  const known = inferShapes(model);
  for (const { name, type, shape } of model.graph.outputs) {
    if (!given.has(name)) return `output ${name}: nothing gives it`;
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
    problem: ({ graph, opsets }) => {
      const node = graph.nodes.find(({ domain }) => !Object.hasOwn(opsets, domain));
      return (
        node &&
        `node ${node.name} (${node.operator}) is of domain "${node.domain}", which has no opset version`
      );
    },
  },
  {
    name: 'named values and operators',
    problem: ({ graph }) => {
      const nameless = [...graph.inputs, ...graph.outputs, ...graph.initializers].some(
        ({ name }) => name === '',
      );
      if (nameless) return 'an input, output or initializer has no name';
      const node = graph.nodes.find(({ operator }) => operator === '');
      return node && `node ${node.name} has no operator`;
    },
  },
  {
    name: 'unique names',
    problem: (model) => {
      const repeated = firstRepeated(givenNames(model));
      if (repeated !== undefined) return `${repeated} is given twice`;
      const output = firstRepeated(model.graph.outputs.map(({ name }) => name));
      return output === undefined ? undefined : `output ${output} is declared twice`;
    },
  },
  {
    name: 'full initializers',
    problem: ({ graph }) => {
      const tensor = graph.initializers.find(({ shape, data }) => countOf(shape) !== data.length);
      return tensor && `initializer ${tensor.name}: ${tensor.data.length} values for shape [${tensor.shape}]`;
    },
  },
  { name: 'order', problem: orderProblem },
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
