/**
 * One file of a case through the whole pipeline: read, differentiated by the initializers its framework trains, run by
 * stock onnxruntime, and compared with what the framework computed.
 */
import { type Model, microsoft, type Node, readModel, type Tensor, type ValueInfo } from '@murmuration/onnx';
import { differentiate, gradientName } from '../../src/index.ts';
import { runModel } from '../run-model.ts';
import type { FixtureFile } from './fixture.ts';

/** Largest relative error of a tensor, as norm of the difference over norm of the expected values (float32). */
export const relativeErrorMax = 1e-3;

const weightingInput = 'fixture.weighting';
const squareLoss = 'fixture.square';

const node = (operator: string, inputs: readonly string[], output: string): Node => ({
  name: output,
  operator,
  domain: '',
  inputs,
  outputs: [output],
  attributes: {},
});

/** The model with a loss put on one of its outputs: the sum of weighting × output², the weighting being an input. */
export function attachSquareLoss(model: Model, output: string): Model {
  const { graph } = model;
  const given = graph.outputs.find(({ name }) => name === output);
  if (!given) throw new Error(`output ${output}: expected one of ${graph.outputs.map(({ name }) => name)}`);
  const weighting: ValueInfo = { ...given, name: weightingInput };
  const axes: Tensor = {
    name: 'fixture.axes',
    type: 'int64',
    shape: [given.shape?.length ?? 0],
    data: BigInt64Array.from(given.shape ?? [], (_, index) => BigInt(index)),
  };
  const summed = node('ReduceSum', ['fixture.weighted', axes.name], squareLoss);
  const nodes = [
    ...graph.nodes,
    node('Mul', [output, output], 'fixture.squared'),
    node('Mul', ['fixture.squared', weightingInput], 'fixture.weighted'),
  ];
  const opset = model.opsets[''] ?? 1;
  const sum: Node =
    opset >= 13
      ? { ...summed, attributes: { keepdims: { kind: 'int', value: 0 } } }
      : { ...summed, inputs: ['fixture.weighted'], attributes: { keepdims: { kind: 'int', value: 0 } } };
  return {
    ...model,
    graph: {
      ...graph,
      nodes: [...nodes, sum],
      inputs: [...graph.inputs, weighting],
      outputs: [...graph.outputs, { name: squareLoss, type: given.type, shape: [] }],
      initializers: opset >= 13 ? [...graph.initializers, axes] : graph.initializers,
    },
  };
}

const norm = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));

/**
 * Norm of the difference over norm of the expected values. Where exact arithmetic gives zero (a bias in front of a
 * normalization, a key's bias under a softmax) the difference is measured against the largest gradient instead.
 */
export function relativeError(values: ArrayLike<number>, expected: ArrayLike<number>, largest: number): number {
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
export function trainingModel(bytes: Uint8Array, entry: FixtureFile): { training: Model; loss: string } {
  const read = readModel(bytes);
  const model = entry.loss ? read : attachSquareLoss(read, entry.logits.output);
  const loss = entry.loss?.output ?? squareLoss;
  return { training: differentiate(model, { loss, parameters: Object.keys(entry.gradients) }), loss };
}

/** Every comparison for one file, worst first. */
export async function compareFile(
  bytes: Uint8Array,
  entry: FixtureFile,
  tensors: ReadonlyMap<string, Tensor>,
): Promise<readonly Comparison[]> {
  const { training, loss } = trainingModel(bytes, entry);
  const feeds: Record<string, Tensor> = Object.fromEntries(
    entry.inputs.map((name) => [name, stored(tensors, `input/${name}`)]),
  );
  if (entry.square) feeds[weightingInput] = stored(tensors, 'weighting');
  const outputs = await runModel(training, feeds);
  const lossTensor = (entry.loss ?? entry.square)?.tensor ?? '';
  const expected: [string, ArrayLike<number>][] = [
    [loss, stored(tensors, lossTensor).data as Float32Array],
    ...Object.entries(entry.gradients).map(
      ([name, { tensor, transposed: flipped }]): [string, Float32Array] => {
        const found = stored(tensors, tensor);
        return [gradientName(name), flipped ? transposed(found) : (found.data as Float32Array)];
      },
    ),
  ];
  const largest = Math.max(...expected.slice(1).map(([, numbers]) => norm(numbers)));
  return expected
    .map(([value, numbers]) => ({
      value,
      error: relativeError(outputs[value] ?? [], numbers, largest),
      expectedNorm: norm(numbers),
    }))
    .toSorted((left, right) => right.error - left.error);
}

/** Operators of a file, for messages. */
export const operatorsOf = (model: Model): readonly string[] =>
  [
    ...new Set(
      model.graph.nodes.map(({ operator, domain }) =>
        domain === microsoft ? `${domain}.${operator}` : operator,
      ),
    ),
  ].toSorted();
