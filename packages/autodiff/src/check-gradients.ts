import { createRandom } from '@murmuration/base';
import type { Model, Tensor } from '@murmuration/onnx';
import { checkCoordinatesMax, checkStep, checkTolerance } from './defaults.ts';
import { type DifferentiateRequest, differentiate, gradientName } from './differentiate.ts';
import { AutodiffError } from './errors.ts';

/** Runs a model on inputs by name and gives its outputs by name, as floats: all, or at least those that are wanted. */
export type RunModel = (
  model: Model,
  feeds: Readonly<Record<string, Tensor>>,
  wanted?: readonly string[],
) => Promise<Readonly<Record<string, Float32Array | Float64Array>>>;

/** Which gradients are checked, how, and how strictly. */
export interface CheckGradientsOptions extends DifferentiateRequest {
  /** What runs the models: this package computes nothing itself. */
  readonly run: RunModel;
  /** Half the distance of the two points of a central difference. */
  readonly step?: number;
  /** Largest accepted relative error of one parameter's gradient. */
  readonly tolerance?: number;
  /** Checked coordinates per parameter, drawn by `seed` when there are more. */
  readonly coordinatesMax?: number;
  readonly seed?: string;
}

/** How far a parameter's gradient is from its central differences: norm of the difference over the larger norm. */
export interface CheckedGradient {
  readonly parameter: string;
  readonly relativeError: number;
  readonly coordinates: number;
}

function chooseCoordinates(length: number, maximum: number, seed: string): readonly number[] {
  const all = Array.from({ length }, (_, index) => index);
  if (length <= maximum) return all;
  const random = createRandom(seed);
  for (let index = 0; index < maximum; index++) {
    const other = index + random.below(length - index);
    [all[index], all[other]] = [all[other] as number, all[index] as number];
  }
  return all.slice(0, maximum);
}

const norm = (values: readonly number[]): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

type Values = Float32Array | Float64Array;

/** The feeds with one coordinate of one parameter moved. */
function moved(
  inputs: Readonly<Record<string, Tensor>>,
  parameter: string,
  coordinate: number,
  by: number,
): Readonly<Record<string, Tensor>> {
  const tensor = inputs[parameter] as Tensor;
  const data = (tensor.data as Values).slice();
  data[coordinate] = (data[coordinate] as number) + by;
  return { ...inputs, [parameter]: { ...tensor, data } };
}

/**
 * Compares the gradients of a model at one point, given by `inputs` (parameters and all others), with central
 * differences of its loss. Gives each parameter's error; throws `AutodiffError` `wrong-gradient` for the first one
 * beyond the tolerance, and whatever `differentiate` throws.
 */
export async function checkGradients(
  model: Model,
  inputs: Readonly<Record<string, Tensor>>,
  options: CheckGradientsOptions,
): Promise<readonly CheckedGradient[]> {
  const { loss, parameters, run, seed = 'gradients' } = options;
  const step = options.step ?? checkStep;
  const tolerance = options.tolerance ?? checkTolerance;
  const training = differentiate(model, options);
  const found = await run(training, inputs);
  const lossOnly = { ...training, graph: { ...training.graph, outputs: training.graph.outputs.slice(0, 1) } };
  const lossAt = async (feeds: Readonly<Record<string, Tensor>>): Promise<number> =>
    (await run(lossOnly, feeds))[loss]?.[0] ?? Number.NaN;
  const checked: CheckedGradient[] = [];
  for (const parameter of parameters) {
    const gradient = found[gradientName(parameter)];
    const length = inputs[parameter]?.data.length ?? -1;
    if (gradient?.length !== length)
      throw new AutodiffError(
        `gradient of ${parameter}: expected ${length} values, got ${gradient?.length ?? 'none'}`,
        { code: 'wrong-gradient', parameter },
      );
    const coordinates = chooseCoordinates(length, options.coordinatesMax ?? checkCoordinatesMax, seed);
    const differences: number[] = [];
    for (const coordinate of coordinates) {
      const above = await lossAt(moved(inputs, parameter, coordinate, step));
      const below = await lossAt(moved(inputs, parameter, coordinate, -step));
      differences.push((above - below) / (2 * step));
    }
    const given = coordinates.map((coordinate) => gradient[coordinate] as number);
    const error = norm(given.map((value, index) => value - (differences[index] as number)));
    const size = Math.max(norm(given), norm(differences), step);
    const relativeError = error / size;
    if (!(relativeError <= tolerance))
      throw new AutodiffError(
        `gradient of ${parameter}: expected within ${tolerance} of the central differences, got a relative error of ${relativeError}`,
        { code: 'wrong-gradient', parameter, relativeError, gradient: given, differences },
      );
    checked.push({ parameter, relativeError, coordinates: coordinates.length });
  }
  return checked;
}
