/**
 * One file of a case through the whole pipeline: read, differentiated by the initializers its framework trains, run by
 * stock onnxruntime, and compared with what the framework computed.
 */
import {
  type Graph,
  int,
  type Model,
  type Node,
  simplifyModel,
  type Tensor,
  upgradeModel,
  type ValueInfo,
} from '@murmuration/onnx';
import { differentiate, gradientName } from '../../src/index.ts';
import { runModel } from '../run-model.ts';
import type { FixtureFile } from './fixture.ts';
import { sketch, sketchedError, sketchRows } from './sketch.ts';

/** Largest relative error of a tensor, as norm of the difference over norm of the expected values (float32). */
export const relativeErrorMax = 1e-3;

/** The input that weighs the elements of the output at `index`. */
export const weightingName = (index: number): string => `fixture.weighting.${index}`;
const squareLoss = 'fixture.square';

const node = (operator: string, inputs: readonly string[], output: string, attributes = {}): Node => ({
  name: output,
  operator,
  domain: '',
  inputs,
  outputs: [output],
  attributes,
});

/** Σ weighting · output² of one output; the weighting is an input of the graph, of the output's shape. */
function weightedSquare(output: ValueInfo, index: number, opset: number) {
  const axes: Tensor = {
    name: `fixture.axes.${index}`,
    type: 'int64',
    shape: [output.shape?.length ?? 0],
    data: BigInt64Array.from(output.shape ?? [], (_, axis) => BigInt(axis)),
  };
  const [squared, weighted, total] = ['squared', 'weighted', 'total'].map(
    (part) => `fixture.${part}.${index}`,
  );
  const reduced = opset >= 13 ? [weighted as string, axes.name] : [weighted as string];
  return {
    weighting: { ...output, name: weightingName(index) },
    nodes: [
      node('Mul', [output.name, output.name], squared as string),
      node('Mul', [squared as string, weightingName(index)], weighted as string),
      node('ReduceSum', reduced, total as string, { keepdims: int(0) }),
    ],
    initializers: opset >= 13 ? [axes] : [],
    total: total as string,
  };
}

/** The model with a loss put on some of its outputs: the sum of weighting × output², the weightings being inputs. */
export function attachSquareLosses(
  model: Model,
  outputs: readonly string[],
): { readonly model: Model; readonly loss: string } {
  const { graph } = model;
  const parts = outputs.map((name, index) => {
    const output = graph.outputs.find((given) => given.name === name);
    if (!output)
      throw new Error(`output ${name}: expected one of ${graph.outputs.map((given) => given.name)}`);
    return weightedSquare(output, index, model.opsets[''] ?? 1);
  });
  const sum = node(
    'Sum',
    parts.map(({ total }) => total),
    squareLoss,
  );
  const whole: Graph = {
    ...graph,
    nodes: [...graph.nodes, ...parts.flatMap(({ nodes }) => nodes), sum],
    inputs: [...graph.inputs, ...parts.map(({ weighting }) => weighting)],
    outputs: [...graph.outputs, { name: squareLoss, type: 'float32', shape: [] }],
    initializers: [...graph.initializers, ...parts.flatMap(({ initializers }) => initializers)],
  };
  return { model: { ...model, graph: whole }, loss: squareLoss };
}

const norm = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));

/**
 * Norm of the difference over norm of the expected values. Where exact arithmetic gives zero (a bias in front of a
 * normalization, a key's bias under a softmax) the difference is measured against the largest gradient instead.
 */
export function relativeError(
  values: ArrayLike<number>,
  expected: ArrayLike<number>,
  largest: number,
): number {
  if (values.length !== expected.length) return Number.POSITIVE_INFINITY;
  const difference = norm(Array.from(expected, (value, index) => value - (values[index] as number)));
  const size = norm(expected);
  return difference / (size > 0 ? size : largest);
}

function transposed({ shape, data }: Tensor): Float32Array {
  const [rows = 0, columns = 0] = shape;
  const values = data as Float32Array;
  return Float32Array.from(
    values,
    (_, index) => values[(index % rows) * columns + Math.floor(index / rows)] as number,
  );
}

const stored = (tensors: ReadonlyMap<string, Tensor>, name: string): Tensor => {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`no tensor ${name} in the reference`);
  return tensor;
};

/** What is compared: a value of the training graph, its relative error, and how large it should be. */
export interface Comparison {
  readonly value: string;
  readonly error: number;
  readonly expectedNorm: number;
}

/** The training graph of a file, and the name of its loss. */
export function trainingModel(read: Model, entry: FixtureFile): { training: Model; loss: string } {
  const { model, loss } = entry.loss
    ? { model: read, loss: entry.loss.output }
    : attachSquareLosses(read, [entry.logits.output]);
  return { training: differentiate(model, { loss, parameters: Object.keys(entry.gradients) }), loss };
}

const feedsOf = (entry: FixtureFile, tensors: ReadonlyMap<string, Tensor>): Record<string, Tensor> => ({
  ...Object.fromEntries(entry.inputs.map((name) => [name, stored(tensors, `input/${name}`)])),
  ...(entry.square ? { [weightingName(0)]: stored(tensors, 'weighting') } : {}),
});

/** The relative error of the file's outputs in canonical form (newest opset, simplified), run as it is. */
export async function compareForward(
  read: Model,
  entry: FixtureFile,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<readonly Comparison[]> {
  const outputs = await runModel(simplifyModel(upgradeModel(read)), feedsOf(entry, tensors));
  return [entry.logits, ...(entry.loss ? [entry.loss] : [])].map(({ output, tensor }) => {
    const expected = stored(tensors, tensor).data as Float32Array;
    const expectedNorm = norm(expected);
    return {
      value: output,
      error: relativeError(outputs[output] ?? [], expected, expectedNorm),
      expectedNorm,
    };
  });
}

/** The relative errors of loss and gradients, worst first. */
export async function compareTraining(
  training: Model,
  loss: string,
  entry: FixtureFile,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<readonly Comparison[]> {
  const outputs = await runModel(training, feedsOf(entry, tensors));
  const lossTensor = (entry.loss ?? entry.square)?.tensor ?? '';
  const gradients = Object.entries(entry.gradients).map(
    ([name, { tensor, transposed: flipped }]): [string, Float32Array] => {
      const found = stored(tensors, tensor);
      return [gradientName(name), flipped ? transposed(found) : (found.data as Float32Array)];
    },
  );
  const largest = Math.max(...gradients.map(([, values]) => norm(values)));
  return [[loss, stored(tensors, lossTensor).data as Float32Array] as const, ...gradients]
    .map(([value, numbers]) => ({
      value,
      error: relativeError(outputs[value] ?? [], numbers, largest),
      expectedNorm: norm(numbers),
    }))
    .toSorted((left, right) => right.error - left.error);
}

/** The estimated relative errors of loss and gradients on inputs whose symbolic axes have other sizes. */
export async function compareOtherSizes(
  training: Model,
  loss: string,
  entry: FixtureFile,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<readonly Comparison[]> {
  if (!entry.other) return [];
  const feeds = entry.inputs.map((name): [string, Tensor] => [name, stored(tensors, `other/input/${name}`)]);
  const outputs = await runModel(training, Object.fromEntries(feeds));
  const expectedLoss = stored(tensors, entry.other.loss).data as Float32Array;
  const rows = sketchRows(stored(tensors, entry.other.sketches));
  const largest = Math.max(...rows.map(([size = 0]) => size));
  return [
    {
      value: loss,
      error: relativeError(outputs[loss] ?? [], expectedLoss, norm(expectedLoss)),
      expectedNorm: norm(expectedLoss),
    },
    ...Object.keys(entry.gradients).map((parameter, index) => {
      const expected = rows[index] ?? [];
      const found = sketch(outputs[gradientName(parameter)] ?? [], expected.length - 1);
      return {
        value: gradientName(parameter),
        error: sketchedError(found, expected, largest),
        expectedNorm: expected[0] ?? 0,
      };
    }),
  ];
}

/** What is wrong with a file, one line per value that differs by more than `relativeErrorMax`; empty when nothing. */
export const complaints = (comparisons: readonly Comparison[]): readonly string[] =>
  comparisons
    .filter(({ error }) => !(error < relativeErrorMax))
    .map(
      ({ value, error, expectedNorm }) =>
        `${value}: relative error ${error.toExponential(2)}, expected norm ${expectedNorm.toExponential(2)}`,
    );
