import assert from 'node:assert/strict';
import { createRandom } from '@murmuration/base';
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import { type ElementType, type Model, type Tensor, type TensorData, writeModel } from '../src/index.ts';

/** Named values as onnxruntime gives them. */
export type Values = Readonly<
  Record<string, { readonly dims: readonly number[]; readonly data: TensorData }>
>;

/** A tensor of plain numbers. */
export function tensor(
  shape: readonly number[],
  values: readonly number[],
  type: ElementType = 'float32',
  name = '',
): Tensor {
  const data = {
    float32: () => Float32Array.from(values),
    float64: () => Float64Array.from(values),
    int64: () => BigInt64Array.from(values, BigInt),
    int32: () => Int32Array.from(values),
    bool: () => Uint8Array.from(values),
  }[type as 'float32'];
  return { name, type, shape, data: data() };
}

/** Numbers in [−1, 1), the same for the same seed. */
export function noise(shape: readonly number[], seed: string, type: ElementType = 'float32'): Tensor {
  const random = createRandom(seed);
  const count = shape.reduce((product, size) => product * size, 1);
  const whole = type !== 'float32' && type !== 'float64';
  const values = Array.from({ length: count }, () => (whole ? random.below(2) : 2 * random.unit() - 1));
  return tensor(shape, values, type);
}

/** Runs a model with stock onnxruntime, its own graph rewriting turned off. */
export async function runModel(model: Model, feeds: Readonly<Record<string, Tensor>>): Promise<Values> {
  const session = await InferenceSession.create(writeModel(model), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    graphOptimizationLevel: 'disabled',
  });
  const given = session.inputNames.map((name): [string, RuntimeTensor] => {
    const feed = feeds[name];
    assert.ok(feed, `no feed for ${name}`);
    return [name, new RuntimeTensor(feed.type as 'float32', feed.data as Float32Array, [...feed.shape])];
  });
  const outputs = await session.run(Object.fromEntries(given));
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { dims, data }]) => [name, { dims, data: data as TensorData }]),
  );
}

/** Requires equal shapes, and values that differ by at most `tolerance` relative to the largest. */
export function assertClose(got: Values, expected: Values, tolerance: number, message = ''): void {
  assert.deepEqual(Object.keys(got).sort(), Object.keys(expected).sort(), message);
  for (const [name, { dims, data }] of Object.entries(expected)) {
    assert.deepEqual(got[name]?.dims, dims, `${message} ${name}: shape`);
    const values = Array.from(data as ArrayLike<number | bigint>, Number);
    const others = Array.from(got[name]?.data as ArrayLike<number | bigint>, Number);
    const scale = Math.max(1, ...values.filter(Number.isFinite).map(Math.abs));
    values.forEach((value, index) => {
      const other = others[index] as number;
      const close =
        Object.is(value, other) || value === other || Math.abs(value - other) <= tolerance * scale;
      assert.ok(close, `${message} ${name}[${index}]: expected ${value}, got ${other}`);
    });
  }
}
