import { createRandom } from '@murmuration/base';
import type { Model, Tensor } from '@murmuration/onnx';
import type { CheckGradientsOptions, RunModel } from './check-gradients.ts';
import {
  directionChange,
  directionStepMin,
  directionStepShare,
  lossRounding,
  roundingShareMax,
  stepDivisors,
} from './defaults.ts';
import { differentiate, gradientName } from './differentiate.ts';
import { AutodiffError } from './errors.ts';

/** How a parameter's gradient compares with the loss's change along two directions; along one, for a single number. */
export interface CheckedDirections {
  readonly parameter: string;
  /** The gradient's Euclidean norm. */
  readonly norm: number;
  /**
   * The larger difference between slope and gradient · direction, over the norm, without what float32's rounding of the
   * loss explains; 0 where the gradient is zero.
   */
  readonly relativeError: number;
}

type Values = Float32Array | Float64Array;

const normOf = (values: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] as number) ** 2;
  return Math.sqrt(sum);
};

const productOf = (left: Values, right: Values): number => {
  let sum = 0;
  for (let i = 0; i < left.length; i++) sum += (left[i] as number) * (right[i] as number);
  return sum;
};

function moved(tensor: Tensor, direction: Values, by: number): Tensor {
  const data = (tensor.data as Values).slice();
  for (let i = 0; i < data.length; i++) data[i] = (data[i] as number) + by * (direction[i] as number);
  return { ...tensor, data };
}

/**
 * The gradient's own direction, and one halfway between it and a random one: steep enough to be seen in float32. A
 * single number has only its own.
 */
function directionsOf(gradient: Values, norm: number, seed: string): readonly Values[] {
  const random = createRandom(seed);
  const own = gradient.map((value) => value / norm);
  if (gradient.length === 1) return [own];
  const drawn = gradient.map(() => 2 * random.unit() - 1);
  const size = normOf(drawn);
  const between = drawn.map((value, index) => value / size + (own[index] as number));
  const length = normOf(between);
  return [own, between.map((value) => value / length)];
}

/** Slopes of the loss behind and ahead of a point. */
type Slopes = readonly [number, number];

const errorOf = ([behind, ahead]: Slopes, expected: number): number =>
  Math.abs((behind + ahead) / 2 - expected);

/** 0 for what lies between the two slopes. */
const errorAtKink = (slopes: Slopes, expected: number): number =>
  Math.min(
    errorOf(slopes, expected),
    Math.max(Math.min(...slopes) - expected, expected - Math.max(...slopes)),
  );

function pointOf(inputs: Readonly<Record<string, Tensor>>, parameter: string): Values {
  const data = inputs[parameter]?.data;
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  throw new AutodiffError(`parameter ${parameter}: expected float values among the inputs, got none`, {
    code: 'bad-request',
    parameter,
  });
}

function gradientOf(found: Awaited<ReturnType<RunModel>>, parameter: string, length: number): Values {
  const gradient = found[gradientName(parameter)];
  if (gradient?.length === length) return gradient;
  throw new AutodiffError(
    `gradient of ${parameter}: expected ${length} values, got ${gradient?.length ?? 'none'}`,
    { code: 'wrong-gradient', parameter },
  );
}

/**
 * Compares each parameter's gradient with central differences of the loss along two directions, each at long and short
 * steps of which the best one counts (a long one may cross a kink; one so short that it drowns in rounding is left out).
 * At a kink, told by the shortest step, the gradient may lie anywhere between the slopes of its two sides. That is at
 * most twelve forward passes per parameter, whatever its size, so that also a large model can be checked. Throws
 * `AutodiffError` `bad-request` for a parameter that is not among `inputs`, `wrong-gradient` for one of whose gradient
 * `run` gives another number of values, and what `differentiate` and `run` throw.
 */
export async function checkDirections(
  model: Model,
  inputs: Readonly<Record<string, Tensor>>,
  options: Pick<CheckGradientsOptions, 'loss' | 'parameters' | 'rules' | 'run' | 'seed'>,
): Promise<readonly CheckedDirections[]> {
  const { loss, parameters, run, seed = 'directions' } = options;
  const training = differentiate(model, options);
  const points = parameters.map((parameter) => [parameter, pointOf(inputs, parameter)] as const);
  const found = await run(training, inputs);
  const lossOnly = { ...training, graph: { ...training.graph, outputs: training.graph.outputs.slice(0, 1) } };
  const lossAt = async (parameter: string, direction: Values, by: number): Promise<number> => {
    const feeds = { ...inputs, [parameter]: moved(inputs[parameter] as Tensor, direction, by) };
    return (await run(lossOnly, feeds))[loss]?.[0] ?? Number.NaN;
  };
  const atPoint = found[loss]?.[0] ?? Number.NaN;
  const slopesAlong = async (parameter: string, direction: Values, step: number): Promise<Slopes> => [
    (atPoint - (await lossAt(parameter, direction, -step))) / step,
    ((await lossAt(parameter, direction, step)) - atPoint) / step,
  ];
  const checked: CheckedDirections[] = [];
  for (const [parameter, values] of points) {
    const gradient = gradientOf(found, parameter, values.length);
    const norm = normOf(gradient);
    let relativeError = Number.isFinite(norm) ? 0 : Number.NaN;
    const long = Math.min(directionChange / norm, directionStepShare * normOf(values) + directionStepMin);
    const roundingAt = (step: number): number => (lossRounding * Math.abs(atPoint)) / step;
    const steps = stepDivisors
      .map((divisor) => long / divisor)
      .filter((step, index) => index === 0 || roundingAt(step) <= roundingShareMax * norm);
    for (const direction of norm > 0 ? directionsOf(gradient, norm, `${seed}/${parameter}`) : []) {
      const expected = productOf(gradient, direction);
      const errors: number[] = [];
      for (const step of steps) {
        const slopes = await slopesAlong(parameter, direction, step);
        const error = step === steps.at(-1) ? errorAtKink(slopes, expected) : errorOf(slopes, expected);
        errors.push(Math.max(0, error - roundingAt(step)));
      }
      relativeError = Math.max(relativeError, Math.min(...errors) / norm);
    }
    checked.push({ parameter, norm, relativeError });
  }
  return checked;
}
