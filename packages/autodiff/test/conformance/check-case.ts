import { createRandom } from '@murmuration/base';
import {
  createGraphBuilder,
  type Dimension,
  inferShapes,
  int,
  type Model,
  readModel,
  type Tensor,
  upgradeModel,
} from '@murmuration/onnx';
import { checkGradients } from '../../src/check-gradients.ts';
import { type DifferentiateRequest, differentiate, gradientName } from '../../src/differentiate.ts';
import { AutodiffError } from '../../src/errors.ts';
import { runModel } from '../run-model.ts';
import type { ConformanceCase } from './cases.ts';

/** What came of checking the gradients of a case. */
export interface Checked {
  /** `refused`: by a rule, for a reason; `flat`: the output does not depend on any float input. */
  readonly how: 'agrees' | 'differs' | 'no-rule' | 'refused' | 'flat';
  readonly detail: string;
  /** Inputs that were checked. */
  readonly inputs: readonly string[];
}

/**
 * Float inputs that say how to compute and are constants in any model, or that rules want to be constants: ratios,
 * scales, class weights; and running statistics, whose gradient is a step of their average. Their gradients are not
 * asked for.
 */
const settings: Readonly<Record<string, readonly number[]>> = {
  BatchNormalization: [3, 4],
  CastLike: [1],
  Dropout: [1],
  NegativeLogLikelihoodLoss: [2],
  Range: [0, 1, 2],
  Resize: [1, 2],
  SoftmaxCrossEntropyLoss: [2],
  Upsample: [1],
};

/** Operators whose other outputs are statistics that no loss may depend on. */
const firstOutputOnly: ReadonlySet<string> = new Set(['BatchNormalization', 'LayerNormalization']);

/** Keeps inputs where an operator is smooth. */
const domains: Readonly<Record<string, (value: number) => number>> = {
  Acos: (value) => 0.95 * value,
  Asin: (value) => 0.95 * value,
  Atanh: (value) => 0.95 * value,
  Pow: (value) => Math.abs(value) + 0.1,
};

/** Moves values a little: away from the whole numbers at which a stored example likes to sit, and kinks with them. */
function nudged(tensor: Tensor, operator: string): Tensor {
  const random = createRandom(tensor.name);
  const inside = domains[operator] ?? ((value) => value);
  const data = Float32Array.from(tensor.data as Float32Array, (value) =>
    inside(value + (random.unit() < 0.5 ? -1 : 1) * (0.01 + 0.02 * random.unit())),
  );
  return { ...tensor, data };
}

/** The float32 inputs of a case by which its node can be differentiated. */
function parametersOf({ operator, model, inputs }: ConformanceCase): readonly Tensor[] {
  const used = readModel(model).graph.nodes[0]?.inputs ?? [];
  const fixed = settings[operator] ?? [];
  return inputs.filter(
    ({ name, type }) =>
      type === 'float32' && used.some((each, index) => each === name && !fixed.includes(index)),
  );
}

/** Whether a case has a float32 input and a float32 output that could have a gradient. */
export const isDifferentiable = (stored: ConformanceCase): boolean =>
  parametersOf(stored).length > 0 && stored.outputs.some(({ type }) => type === 'float32');

interface Built {
  readonly model: Model;
  readonly loss: string;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly parameters: readonly string[];
}

/** `TensorProto.DataType` of double precision. */
const float64Code = 11;

/** Which sizes of the float inputs are symbols: none, those that equal the first input's first size, all above 1. */
export type Symbols = 'none' | 'batch' | 'all';

/** A shape with symbols; equal sizes get equal symbols. */
function withSymbols(shape: readonly Dimension[], symbols: Symbols, batch: Dimension): readonly Dimension[] {
  return shape.map((size, axis) => {
    const wanted = symbols === 'all' || (symbols === 'batch' && axis === 0 && size === batch);
    return wanted && typeof size === 'number' && size > 1 ? `size${size}` : size;
  });
}

/**
 * loss = Σ outputs · weights over the float outputs, summed in double precision; everything that is no float input
 * becomes a constant. The shapes of what stays an input are numbers or symbols.
 */
function lossModel(stored: ConformanceCase, symbols: Symbols): Built {
  const { operator } = stored;
  const model = upgradeModel(readModel(stored.model));
  const parameters = parametersOf(stored).map((tensor) => nudged(tensor, operator));
  const names = new Set(parameters.map(({ name }) => name));
  const { inputs, initializers } = model.graph;
  const constants = stored.inputs.filter(
    ({ name }) => !names.has(name) && inputs.some((each) => each.name === name),
  );
  const batch = inputs[0]?.shape?.[0] ?? 1;
  const graph = {
    ...model.graph,
    inputs: inputs
      .filter(({ name }) => names.has(name))
      .map((input) => ({ ...input, shape: withSymbols(input.shape ?? [], symbols, batch) })),
    initializers: [...initializers, ...constants],
    outputs: [],
  };
  const builder = createGraphBuilder('conformance', { ...model, graph });
  const known = inferShapes(builder.model());
  const feeds = Object.fromEntries(parameters.map((tensor) => [tensor.name, tensor]));
  const terms = stored.outputs
    .filter(({ type }, index) => type === 'float32' && (index === 0 || !firstOutputOnly.has(operator)))
    .map(({ name, shape, data }) => {
      const random = createRandom(name);
      const values = Float64Array.from(data as Float32Array, () => 0.3 + random.unit());
      const weight = `weight of ${name}`;
      feeds[weight] = { name: weight, type: 'float64', shape, data: values };
      builder.input(weight, 'float64', symbols === 'none' ? shape : (known.get(name)?.shape ?? []));
      const wide = builder.node('Cast', [name], { to: int(float64Code) });
      return builder.node('ReduceSum', [builder.node('Mul', [wide, weight])], { keepdims: int(0) });
    });
  const loss = builder.node('Sum', terms, {}, 'weighted sum');
  builder.output(loss, 'float64', []);
  return {
    model: builder.model(),
    loss,
    feeds,
    parameters: [...names],
  };
}

/** Half distances of central differences: a short one where the function bends, a long one where it is nearly flat. */
const steps = [2e-3, 3e-2];

/** Whether a gradient exists; throws unless it agrees with the differences at one of the distances. */
async function agreesAtSomeStep(
  model: Model,
  feeds: Readonly<Record<string, Tensor>>,
  request: DifferentiateRequest,
): Promise<boolean> {
  let wrong: unknown;
  for (const step of steps)
    try {
      await checkGradients(model, feeds, {
        ...request,
        run: runModel,
        coordinatesMax: 6,
        step,
        tolerance: 1e-2,
      });
      return true;
    } catch (cause) {
      const code = cause instanceof AutodiffError ? cause.code : undefined;
      if (code === 'no-path') return false;
      if (code !== 'wrong-gradient') throw cause;
      wrong ??= cause;
    }
  throw wrong;
}

/** Compares the gradient by every float32 input of a case with central differences at a few coordinates. */
export async function checkCase(stored: ConformanceCase): Promise<Checked> {
  const inputs: string[] = [];
  try {
    const { model, loss, feeds, parameters } = lossModel(stored, 'none');
    for (const parameter of parameters) {
      if (await agreesAtSomeStep(model, feeds, { loss, parameters: [parameter] })) inputs.push(parameter);
    }
    return { how: inputs.length > 0 ? 'agrees' : 'flat', detail: '', inputs };
  } catch (cause) {
    const detail = String((cause as Error).message).split('\n')[0] ?? '';
    if (!(cause instanceof AutodiffError)) return { how: 'differs', detail, inputs };
    const { code } = cause;
    const how = code === 'no-rule' ? code : code === 'wrong-gradient' ? 'differs' : 'refused';
    return { how, detail, inputs };
  }
}

/** Largest difference of two lists relative to the largest value. */
function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const values = Array.from(a);
  const largest = Math.max(1e-3, ...values.map(Math.abs));
  return Math.max(0, ...values.map((value, index) => Math.abs(value - (b[index] ?? Number.NaN)))) / largest;
}

/**
 * Gradients by all inputs of a case, with some of their sizes as symbols; undefined where a rule needs to know them.
 */
async function gradientsOf(
  stored: ConformanceCase,
  symbols: Symbols,
): Promise<readonly ArrayLike<number>[] | undefined> {
  const { model, loss, feeds, parameters } = lossModel(stored, symbols);
  let training: Model;
  try {
    training = differentiate(model, { loss, parameters });
  } catch (cause) {
    if (cause instanceof AutodiffError) return undefined;
    throw cause;
  }
  const values = await runModel(training, feeds);
  return parameters.map((parameter) => values[gradientName(parameter)] ?? []);
}

/**
 * How far gradients computed without knowing the inputs' sizes are from those computed with them: undefined where
 * differentiating needs to know them, none at all where the loss does not depend on every input.
 */
export async function differencesWithSymbols(
  stored: ConformanceCase,
): Promise<Readonly<Partial<Record<Symbols, number | undefined>>>> {
  const known = await gradientsOf(stored, 'none');
  if (!known) return { none: undefined };
  const difference = async (symbols: Symbols): Promise<number | undefined> => {
    const found = await gradientsOf(stored, symbols);
    return found && Math.max(...known.map((each, index) => largestDifference(each, found[index] ?? [])));
  };
  return { none: 0, batch: await difference('batch'), all: await difference('all') };
}
