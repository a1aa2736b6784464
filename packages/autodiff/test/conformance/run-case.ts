import {
  type ElementType,
  int,
  type Model,
  type Node,
  readModel,
  type Tensor,
  upgradeModel,
  type ValueInfo,
  writeModel,
} from '@murmuration/onnx';
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import type { ConformanceCase } from './cases.ts';

/** How a model ran: it gave the stored outputs, something else, or could not be run at all. */
export interface Ran {
  readonly how: 'equal' | 'different' | 'refused';
  readonly detail: string;
}

/** Types of 16 bits, which onnxruntime-node does not take from JavaScript: what they are fed and read as. */
const narrow: Readonly<Partial<Record<ElementType, (bits: number) => number>>> = {
  float16: fromHalf,
  bfloat16: (bits) => new Float32Array(Uint32Array.of(bits << 16).buffer)[0] as number,
};

/** `TensorProto.DataType`. */
const codes: Readonly<Partial<Record<ElementType, number>>> = { float32: 1, float16: 10, bfloat16: 16 };

/** A half-precision number from its bits. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A tensor of 16-bit numbers as float32. */
function widened(tensor: Tensor): Tensor {
  const read = narrow[tensor.type];
  return read
    ? { ...tensor, type: 'float32', data: Float32Array.from(tensor.data as Uint16Array, read) }
    : tensor;
}

/** The model with inputs and outputs of 16 bits as float32, converted inside. */
function withWideEnds(model: Model): Model {
  const { graph } = model;
  const convert = (from: string, to: string, type: ElementType): Node => ({
    name: `convert ${from}`,
    operator: 'Cast',
    domain: '',
    inputs: [from],
    outputs: [to],
    attributes: { to: int(codes[type] ?? 0) },
  });
  const inputs = graph.inputs.filter(({ type }) => narrow[type]);
  const outputs = graph.outputs.filter(({ type }) => narrow[type]);
  const wide = (name: string): string => `wide ${name}`;
  const widen = (info: ValueInfo): ValueInfo =>
    narrow[info.type] ? { ...info, name: wide(info.name), type: 'float32' } : info;
  return {
    ...model,
    graph: {
      ...graph,
      inputs: graph.inputs.map(widen),
      outputs: graph.outputs.map(widen),
      nodes: [
        ...inputs.map(({ name, type }) => convert(wide(name), name, type)),
        ...graph.nodes,
        ...outputs.map(({ name }) => convert(name, wide(name), 'float32')),
      ],
    },
  };
}

/** Accepted errors relative to a tensor's largest value: orders of summation differ. */
const floatTolerance = 2e-6;
const narrowTolerance = 5e-3;

function difference(
  want: Tensor,
  got: RuntimeTensor | undefined,
  tolerance: readonly [number, number],
): string {
  if (!got) return `no output ${want.name}`;
  if (String(got.dims) !== String(want.shape)) return `expected shape [${want.shape}], got [${got.dims}]`;
  const expected = Array.from(widened(want).data as ArrayLike<number | bigint>, Number);
  const values = Array.from(got.data as ArrayLike<number | bigint>, Number);
  const largest = Math.max(1, ...expected.filter(Number.isFinite).map(Math.abs));
  const relative = Math.max(tolerance[0], narrow[want.type] ? narrowTolerance : 0);
  const absolute = Math.max(tolerance[1], largest * (narrow[want.type] ? narrowTolerance : floatTolerance));
  const index = expected.findIndex((value, at) => {
    const other = values[at] as number;
    return !(
      Object.is(value, other) ||
      value === other ||
      Math.abs(value - other) <= absolute + relative * Math.abs(value)
    );
  });
  return index < 0
    ? ''
    : `element ${index} of ${want.name}: expected ${expected[index]}, got ${values[index]}`;
}

const firstLine = (cause: unknown): string => String((cause as Error).message).split('\n')[0] ?? '';

/** Runs a model with stock onnxruntime on tensors by name. */
export async function runTensors(
  model: Model,
  feeds: readonly Tensor[],
): Promise<Readonly<Record<string, RuntimeTensor>>> {
  const session = await InferenceSession.create(writeModel(model), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    graphOptimizationLevel: 'disabled',
  });
  const wanted = new Set(session.inputNames);
  const given = feeds
    .filter(({ name }) => wanted.has(name))
    .map(({ name, type, data, shape }): [string, RuntimeTensor] => [
      name,
      new RuntimeTensor(type as 'float32', data as Float32Array, shape),
    ]);
  try {
    return await session.run(Object.fromEntries(given));
  } finally {
    await session.release();
  }
}

/** Reads, upgrades, writes and runs a case and compares with its stored outputs. */
export async function runCase(stored: ConformanceCase): Promise<Ran> {
  let outputs: Readonly<Record<string, RuntimeTensor>>;
  try {
    const feeds = stored.inputs.map((tensor) =>
      narrow[tensor.type] ? { ...widened(tensor), name: `wide ${tensor.name}` } : tensor,
    );
    outputs = await runTensors(withWideEnds(upgradeModel(readModel(stored.model))), feeds);
  } catch (cause) {
    return { how: 'refused', detail: firstLine(cause) };
  }
  const found = stored.outputs
    .map((want) =>
      difference(want, outputs[narrow[want.type] ? `wide ${want.name}` : want.name], stored.tolerance),
    )
    .find((detail) => detail !== '');
  return found === undefined ? { how: 'equal', detail: '' } : { how: 'different', detail: found };
}
