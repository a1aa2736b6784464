/** How a text model's inputs are fed: one takes the tokens, the others follow from them. */
import {
  createGraphBuilder,
  type Dimension,
  int,
  int64Tensor,
  type Model,
  renameGraph,
  tensorAttribute,
  type ValueInfo,
} from '@murmuration/onnx';
import { typeCodes } from '../element-types.ts';
import { AutodiffError } from '../errors.ts';
import { plainNode } from '../plain-node.ts';

/** What a text model's other input is filled with. */
export type InputFilling = 'ones' | 'zeros' | 'positions';

/** A text model's inputs. */
export interface TextInputs {
  /** The input that takes the tokens, [batch, context]; the first integer one of rank 2 unless named. */
  readonly tokens?: string;
  /** The input that takes the next token of each, in a file that computes its loss by itself. */
  readonly targets?: string;
  /** Fillings by input, beside those that exporters name by convention. */
  readonly filled?: Readonly<Record<string, InputFilling>>;
}

/** Inputs that exporters of language models name alike. */
const conventionalFillings: Readonly<Record<string, InputFilling>> = {
  attention_mask: 'ones',
  position_ids: 'positions',
  token_type_ids: 'zeros',
};

const badRequest = (message: string, facts: object): AutodiffError =>
  new AutodiffError(message, { code: 'bad-request', ...facts });

const isTokens = ({ type, shape }: ValueInfo): boolean =>
  (type === 'int64' || type === 'int32') && shape?.length === 2;

const describe = ({ name, type, shape }: ValueInfo): string => `${name} ${type} [${shape ?? 'any shape'}]`;

/** The input that takes the tokens. Throws `AutodiffError` `bad-request` when there is none. */
export function tokensOf(model: Model, wanted: string | undefined): ValueInfo {
  const { inputs } = model.graph;
  const found = inputs.find((input) => isTokens(input) && (wanted === undefined || input.name === wanted));
  if (found) return found;
  throw badRequest(
    `expected ${wanted === undefined ? 'an integer input' : `the input ${wanted}`} of shape [batch, context] ` +
      `for the tokens, got ${inputs.map(describe).join(', ')}`,
    { wanted },
  );
}

/** The model with one symbol of its inputs and outputs written in another way. */
function renameSymbols(model: Model, names: ReadonlyMap<Dimension, string>): Model {
  const rename = (info: ValueInfo): ValueInfo =>
    info.shape ? { ...info, shape: info.shape.map((dimension) => names.get(dimension) ?? dimension) } : info;
  const { graph } = model;
  return {
    ...model,
    graph: {
      ...graph,
      inputs: graph.inputs.map(rename),
      outputs: graph.outputs.map(({ name, type }) => ({ name, type })),
    },
  };
}

const isFillable = (type: string): type is keyof typeof typeCodes => Object.hasOwn(typeCodes, type);

/** Computes an input from the tokens' shape, ahead of all nodes. */
function fill(model: Model, input: ValueInfo, filling: InputFilling): Model {
  if (!isFillable(input.type) || (input.shape && input.shape.length !== 2))
    throw badRequest(`input ${describe(input)}: expected the shape of the tokens to fill it`, {
      input: input.name,
    });
  const inputs = model.graph.inputs.filter(({ name }) => name !== input.name);
  const builder = createGraphBuilder(model.graph.name, {
    ...model,
    graph: { ...model.graph, inputs },
  });
  const shape = builder.node('Shape', ['tokens']);
  const constant = (value: number): string =>
    builder.node('ConstantOfShape', [shape], { value: tensorAttribute(int64Tensor('', [value])) });
  const positions = (): string => {
    const counted = builder.node('CumSum', [constant(1), builder.int64(1)]);
    return builder.node('Sub', [counted, builder.int64(1)]);
  };
  const values = filling === 'positions' ? positions() : constant(filling === 'ones' ? 1 : 0);
  builder.node('Cast', [values], { to: int(typeCodes[input.type]) }, input.name);
  const made = builder.model();
  const { length } = model.graph.nodes;
  const nodes = [...made.graph.nodes.slice(length), ...made.graph.nodes.slice(0, length)];
  return { ...made, graph: { ...made.graph, nodes } };
}

/** The inputs that samples go to, each with its name by the run's convention. */
function fedInputs(model: Model, inputs: TextInputs): ReadonlyMap<string, string> {
  const fed = new Map([[tokensOf(model, inputs.tokens).name, 'tokens']]);
  if (inputs.targets !== undefined) {
    const targets = model.graph.inputs.find((input) => input.name === inputs.targets);
    if (!targets || !isTokens(targets) || fed.has(targets.name))
      throw badRequest(
        `expected the input ${inputs.targets} to be another integer one of shape [batch, context], ` +
          `got ${targets ? describe(targets) : 'no such input'}`,
        { wanted: inputs.targets },
      );
    fed.set(targets.name, 'targets');
  }
  const taken = new Set([...model.graph.inputs, ...model.graph.initializers].map(({ name }) => name));
  const clash = [...fed].find(([from, to]) => from !== to && taken.has(to))?.[1];
  if (clash !== undefined)
    throw badRequest(`expected the name ${clash} to be free, got an input or weight of that name`, { clash });
  return fed;
}

/** Samples arrive as int64; a graph that wants int32 gets them converted. */
function widen(model: Model, name: string): Model {
  if (model.graph.inputs.find((input) => input.name === name)?.type !== 'int32') return model;
  const narrow = `${name}.int32`;
  const graph = renameGraph(model.graph, (each) => (each === name ? narrow : each));
  const cast = plainNode('Cast', [name], narrow, { to: int(typeCodes.int32) });
  const inputs = graph.inputs.map((input) =>
    input.name === narrow ? { ...input, name, type: 'int64' as const } : input,
  );
  return { ...model, graph: { ...graph, inputs, nodes: [cast, ...graph.nodes] } };
}

/**
 * The model with its tokens as input `tokens` (and its targets, if it takes them, as `targets`), int64
 * [batch, context], and all other inputs filled from them. Throws `AutodiffError` `bad-request` for an input that is
 * neither.
 */
export function bindTextInputs(model: Model, inputs: TextInputs): Model {
  const fed = fedInputs(model, inputs);
  const fillings = { ...conventionalFillings, ...inputs.filled };
  const unknown = model.graph.inputs.find(({ name }) => !fed.has(name) && !Object.hasOwn(fillings, name));
  if (unknown)
    throw badRequest(
      `input ${describe(unknown)}: expected ones, zeros or positions as its filling, got none; ` +
        `samples go to ${[...fed.keys()].join(', ')}`,
      { input: unknown.name },
    );
  const [rows = '', columns = ''] = tokensOf(model, inputs.tokens).shape ?? [];
  const symbols = new Map<Dimension, string>(
    [[rows, 'batch'] as const, [columns, 'context'] as const].filter(([from]) => typeof from === 'string'),
  );
  const graph = renameGraph(model.graph, (name) => fed.get(name) ?? name);
  const named = renameSymbols({ ...model, graph }, symbols);
  const samples = [...fed.values()];
  const filled = named.graph.inputs
    .filter(({ name }) => !samples.includes(name))
    .reduce((total, input) => fill(total, input, fillings[input.name] as InputFilling), named);
  return samples.reduce(widen, filled);
}
