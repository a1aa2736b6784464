import { type ElementType, type Model, type Tensor, writeModel } from '@murmuration/onnx';
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import type { RunModel } from '../src/index.ts';

const sessions = new WeakMap<Model, Promise<InferenceSession>>();

function sessionOf(model: Model): Promise<InferenceSession> {
  const known = sessions.get(model);
  if (known) return known;
  const session = InferenceSession.create(writeModel(model), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  sessions.set(model, session);
  return session;
}

const runtimeTensor = (tensor: Tensor): RuntimeTensor =>
  new RuntimeTensor(tensor.type as 'float32', tensor.data as Float32Array, tensor.shape);

/** Runs a model with stock onnxruntime on one thread; a model value is loaded once. */
export const runModel: RunModel = async (model, feeds) => {
  const session = await sessionOf(model);
  const used = session.inputNames.map((name): [string, RuntimeTensor] => {
    const tensor = feeds[name];
    if (!tensor) throw new Error(`no feed for input ${name}`);
    return [name, runtimeTensor(tensor)];
  });
  const outputs = await session.run(Object.fromEntries(used));
  return Object.fromEntries(
    Object.entries(outputs).map(([name, tensor]) => [name, tensor.data as Float32Array]),
  );
};

/** A tensor of numbers, as float32 unless said otherwise. */
export function tensor(
  shape: readonly number[],
  values: Iterable<number>,
  type: ElementType = 'float32',
): Tensor {
  const list = [...values];
  const data =
    type === 'int64'
      ? BigInt64Array.from(list, BigInt)
      : type === 'int32'
        ? Int32Array.from(list)
        : type === 'float64'
          ? Float64Array.from(list)
          : type === 'bool'
            ? Uint8Array.from(list)
            : Float32Array.from(list);
  return { name: '', type, shape, data };
}
