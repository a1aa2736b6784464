import { createRandom } from '@murmuration/base';
import type { Model, Tensor } from '@murmuration/onnx';
import type { CheckGradientsOptions, RunModel } from './check-gradients.ts';
import {
  checkTolerance,
  directionChange,
  directionStepMin,
  directionStepShare,
  directionStretch,
  lossRounding,
  panelTriplings,
  quadratureShareMax,
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
   * The larger difference, of both directions, between how the loss changes and what the gradients along the way add up
   * to, over the norm, without what float32's rounding of the loss explains.
   */
  readonly relativeError: number;
  /**
   * `no-gradient`: it is zero, or too small to be seen beside the loss's rounding. `uncertain`: it jumps so often near
   * the point (kinks) that what it adds up to cannot be told.
   */
  readonly verdict: 'agrees' | 'wrong' | 'uncertain' | 'no-gradient';
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

/** A place on a line through the parameter's values. */
interface Place {
  readonly loss: number;
  /** The gradient there, along the line. */
  readonly slope: number;
}

/** The place that is so far ahead on the line. */
type Line = (by: number) => Promise<Place>;

/** Differences below are along the line, with the gradient's norm as their measure. */
interface Comparison {
  readonly norm: number;
  /** What the rounding of the loss explains of a difference of two losses `step` from the point, per unit of length. */
  roundingAt(step: number): number;
}

interface Found {
  readonly relativeError: number;
  readonly verdict: CheckedDirections['verdict'];
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Compares the loss's change from `-step` to `step` with the integral of the slope, by Simpson's rule or else by midpoints
 * of more and more parts; they tell the integral when they change little and a jump within a part would, too.
 */
async function compareOver(
  line: Line,
  start: Place,
  step: number,
  { norm, roundingAt }: Comparison,
): Promise<{ readonly relativeError: number; readonly isTold: boolean }> {
  const [behind, ahead] = [await line(-step), await line(step)];
  const change = (ahead.loss - behind.loss) / (2 * step);
  const relative = (error: number): number => Math.max(0, error - roundingAt(step)) / norm;
  const atEnds = (behind.slope + ahead.slope) / 2;
  const bySimpson = relative(Math.abs(change - (atEnds + 2 * start.slope) / 3));
  const isSmooth = Math.abs(atEnds - start.slope) / 2 <= quadratureShareMax * norm;
  if (isSmooth && bySimpson <= checkTolerance) return { relativeError: bySimpson, isTold: true };
  let middles = [-0.5, 0.5];
  let added = middles;
  const slopes: number[] = [];
  let integral = Number.NaN;
  let isTold = false;
  for (let tripling = 0; tripling <= panelTriplings && !isTold; tripling++) {
    for (const middle of added) slopes.push((await line(middle * step)).slope);
    const before = integral;
    integral = mean(slopes);
    const byOneJump = (Math.max(...slopes) - Math.min(...slopes)) / slopes.length / 4;
    isTold = Math.max(Math.abs(integral - before), byOneJump) <= quadratureShareMax * norm;
    const third = 2 / middles.length / 3;
    added = middles.flatMap((middle) => [middle - third, middle + third]);
    middles = [...middles, ...added];
  }
  const all = [...slopes, behind.slope, ahead.slope];
  const outside = Math.max(Math.min(...all) - start.slope, start.slope - Math.max(...all));
  return { relativeError: relative(Math.max(outside, Math.abs(change - integral))), isTold };
}

async function checkLine(
  line: Line,
  start: Place,
  steps: readonly number[],
  comparison: Comparison,
): Promise<Found> {
  const told: number[] = [];
  const untold: number[] = [];
  for (const step of steps) {
    const { relativeError, isTold } = await compareOver(line, start, step, comparison);
    if (isTold && relativeError <= checkTolerance) return { relativeError, verdict: 'agrees' };
    (isTold || Number.isNaN(relativeError) ? told : untold).push(relativeError);
  }
  return told.length > 0
    ? { relativeError: Math.min(...told), verdict: 'wrong' }
    : { relativeError: Math.min(...untold), verdict: 'uncertain' };
}

/** A gradient of zeros is wrong when the loss changes and no gradient on the way to there tells. */
async function checkZeros(line: Line, start: Place, step: number): Promise<Found> {
  const [behind, ahead] = [await line(-step), await line(step)];
  const changes = Math.abs(ahead.loss - behind.loss) > 8 * lossRounding * Math.abs(start.loss);
  return changes && behind.slope === 0 && ahead.slope === 0
    ? { relativeError: 1, verdict: 'wrong' }
    : { relativeError: 0, verdict: 'no-gradient' };
}

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

/** In the order of how much they matter. */
const verdicts = ['wrong', 'uncertain', 'no-gradient', 'agrees'] as const;

/** Draws the lines through a parameter's values, and compares along each. */
async function checkParameter(
  values: Values,
  gradient: Values,
  { start, seed, place }: { readonly start: number; readonly seed: string; place(direction: Values): Line },
): Promise<Omit<CheckedDirections, 'parameter'>> {
  const norm = normOf(gradient);
  if (!Number.isFinite(norm)) return { norm, relativeError: Number.NaN, verdict: 'wrong' };
  const longest = directionStepShare * normOf(values) + directionStepMin;
  if (norm === 0) {
    const [direction = gradient] = directionsOf(
      gradient.map(() => 1),
      Math.sqrt(gradient.length),
      seed,
    ).slice(-1);
    return { norm, ...(await checkZeros(place(direction), { loss: start, slope: 0 }, longest)) };
  }
  const roundingAt = (step: number): number => (lossRounding * Math.abs(start)) / step;
  const long = [longest, directionStretch * longest]
    .map((most) => Math.min(directionChange / norm, most))
    .find((step) => !(roundingAt(step) > checkTolerance * norm));
  if (long === undefined) return { norm, relativeError: 0, verdict: 'no-gradient' };
  const steps = stepDivisors
    .map((divisor) => long / divisor)
    .filter((step, index) => index === 0 || roundingAt(step) <= roundingShareMax * norm);
  const found: Found[] = [];
  for (const direction of directionsOf(gradient, norm, seed)) {
    const here = { loss: start, slope: productOf(gradient, direction) };
    found.push(await checkLine(place(direction), here, steps, { norm, roundingAt }));
  }
  const verdict = verdicts.find((each) => found.some((line) => line.verdict === each)) ?? 'agrees';
  return { norm, relativeError: Math.max(...found.map(({ relativeError }) => relativeError)), verdict };
}

/**
 * Compares how the loss changes along two lines through each parameter's values with the integral of its gradients
 * along them, which is the same where the loss has kinks, too. It is measured over long and short steps, of which the
 * first one counts on which it agrees (a loss may jump in a long one; one so short that it drowns in rounding is left out).
 * Where the gradient changes little, that is four runs of the training graph per parameter, whatever its size, so that
 * also a large model can be checked; at many kinks up to 336. Throws `AutodiffError` `bad-request` for a parameter that
 * is not among `inputs`, `wrong-gradient` for one of whose gradient `run` gives another number of values, and what
 * `differentiate` and `run` throw.
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
  const lossOf = (outputs: typeof found): number => outputs[loss]?.[0] ?? Number.NaN;
  const checked: CheckedDirections[] = [];
  for (const [parameter, values] of points) {
    const place =
      (direction: Values): Line =>
      async (by) => {
        const feeds = { ...inputs, [parameter]: moved(inputs[parameter] as Tensor, direction, by) };
        const outputs = await run(training, feeds, [loss, gradientName(parameter)]);
        const slope = productOf(gradientOf(outputs, parameter, values.length), direction);
        return { loss: lossOf(outputs), slope };
      };
    const gradient = gradientOf(found, parameter, values.length);
    const start = { start: lossOf(found), seed: `${seed}/${parameter}`, place };
    checked.push({ parameter, ...(await checkParameter(values, gradient, start)) });
  }
  return checked;
}
