import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLayout, createRandom, exampleRun, parseRunConfig, type RunConfig } from '@murmuration/base';
import type { ParameterDeclaration } from '@murmuration/onnx';
import fc from 'fast-check';
import { createOptimizer, type Optimizer } from '../../src/optimizers/optimizer.ts';
import { parameterRanges, splitMatrices } from '../../src/optimizers/ranges.ts';
import { createVectorMemory } from '../../src/vectors.ts';

const { inner } = parseRunConfig(exampleRun);
const initial = { kind: 'given' } as const;
/** Lengths that do not fill whole SIMD vectors, in every kind of range. */
const declarations: readonly ParameterDeclaration[] = [
  { name: 'a', shape: [7], decays: true, initial },
  { name: 'b', shape: [13], decays: true, initial },
  { name: 'c', shape: [3], decays: false, initial },
  { name: 'mean', shape: [5], decays: false, initial, update: { kind: 'average', momentum: 0.9 } },
  { name: 'd', shape: [3, 6], decays: true, initial },
  { name: 'e', shape: [2, 2], decays: true, hidden: false, initial },
];
const layout = createLayout(declarations);
const { length } = layout;
const isAverage = (i: number): boolean => i >= 23 && i < 28;
const decays = (i: number): boolean => i < 20 || i >= 28;

const create = (changes: Partial<RunConfig['inner']> = {}): Optimizer =>
  createOptimizer({ declarations, layout, inner: { ...inner, ...changes }, threads: 1 });

const draws = (seed: string): Float32Array => {
  const random = createRandom(seed);
  return Float32Array.from({ length }, () => random.unit() * 2 - 1);
};
const bits = (vector: Float32Array): string => Buffer.from(vector.slice().buffer).toString('hex');

test('parameterRanges joins neighbours that agree, and keeps running statistics apart', () => {
  assert.deepEqual(parameterRanges(declarations, layout), {
    trained: [
      { start: 0, end: 20, decays: true },
      { start: 20, end: 23, decays: false },
      { start: 28, end: 50, decays: true },
    ],
    averages: [{ start: 23, end: 28, momentum: 0.9 }],
  });
});

test('splitMatrices takes hidden matrices, kernels as rows of their first dimension, and nothing else', () => {
  const { matrices, others } = splitMatrices(
    [...declarations, { name: 'kernel', shape: [4, 3, 2, 2], decays: true, initial }],
    createLayout([...declarations, { name: 'kernel', shape: [4, 3, 2, 2] }]),
  );
  assert.deepEqual(matrices, [
    { start: 28, end: 46, decays: true, rows: 3, columns: 6 },
    { start: 50, end: 98, decays: true, rows: 4, columns: 12 },
  ]);
  assert.deepEqual(others, [
    { start: 0, end: 20, decays: true },
    { start: 20, end: 23, decays: false },
    { start: 46, end: 50, decays: true },
  ]);
});

test('Optimizer AdamW follows the published update in float64 over 30 steps, statistics their own', async () => {
  const optimizer = create();
  const [beta1, beta2, epsilon, learningRate] = [0.9, 0.95, 1e-8, 1e-2];
  const θ = Array.from(draws('start'));
  optimizer.parameters.set(θ);
  const m = new Array<number>(length).fill(0);
  const v = new Array<number>(length).fill(0);
  for (let step = 1; step <= 30; step++) {
    const gradient = draws(`${step}`).map((value) => value * (step % 2 === 0 ? 5 : 0.01));
    optimizer.gradient.set(gradient);
    optimizer.collect();
    const norm = Math.sqrt(gradient.reduce((sum, g, i) => sum + (isAverage(i) ? 0 : g * g), 0));
    assert.ok(Math.abs(optimizer.gradientNorm() - norm) < 1e-6 * norm);
    const rate = learningRate * Math.min(1, step / 10);
    await optimizer.update(learningRate, optimizer.gradientNorm());
    for (let i = 0; i < length; i++) {
      const raw = gradient[i] as number;
      if (isAverage(i)) {
        θ[i] = (θ[i] as number) - 0.1 * raw;
        continue;
      }
      const g = raw * Math.min(1, inner.clipNorm / norm);
      m[i] = beta1 * (m[i] as number) + (1 - beta1) * g;
      v[i] = beta2 * (v[i] as number) + (1 - beta2) * g * g;
      const mean = (m[i] as number) / (1 - beta1 ** step);
      const deviation = Math.sqrt((v[i] as number) / (1 - beta2 ** step));
      const decay = decays(i) ? inner.weightDecay : 0;
      θ[i] = (θ[i] as number) * (1 - rate * decay) - (rate * mean) / (deviation + epsilon);
    }
  }
  θ.forEach((value, i) => {
    assert.ok(Math.abs((optimizer.parameters[i] as number) - value) < 3e-6, `value ${i}`);
  });
});

test('Optimizer averages the micro-batches of a step, and forgets discarded ones', async () => {
  const [one, three] = [create(), create({ accumulate: 3 })];
  const parts = ['x', 'y', 'z'].map(draws);
  for (const optimizer of [one, three]) optimizer.parameters.set(draws('start'));
  for (let step = 0; step < 5; step++) {
    three.gradient.set(draws('discarded'));
    three.collect();
    three.discard();
    for (const part of parts) {
      three.gradient.set(part);
      three.collect();
    }
    one.gradient.set(
      parts[0]?.map((value, i) => (value + (parts[1]?.[i] ?? 0) + (parts[2]?.[i] ?? 0)) / 3) ?? [],
    );
    one.collect();
    assert.ok(Math.abs(one.gradientNorm() - three.gradientNorm()) < 1e-6);
    await one.update(1e-2, one.gradientNorm());
    await three.update(1e-2, three.gradientNorm());
  }
  one.parameters.forEach((value, i) => {
    assert.ok(Math.abs(value - (three.parameters[i] as number)) < 1e-5, `value ${i}`);
  });
});

test('Optimizer gradientNorm is not finite when a gradient is not', async () => {
  const optimizer = create();
  optimizer.gradient[49] = Number.NaN;
  optimizer.collect();
  assert.ok(Number.isNaN(optimizer.gradientNorm()));
  optimizer.gradient[49] = Number.POSITIVE_INFINITY;
  assert.equal(optimizer.gradientNorm(), Number.POSITIVE_INFINITY);
  optimizer.gradient[49] = 0;
  optimizer.gradient[25] = Number.NaN;
  assert.equal(optimizer.gradientNorm(), 0);
});

const momentum = { momentum: 0.9, nesterov: true };
const moments = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
const kinds: readonly RunConfig['inner']['optimizer'][] = [
  { kind: 'adamw', ...moments },
  { kind: 'sgd', ...momentum },
  { kind: 'muon', ...momentum, ...moments, iterations: 5, rateOfVectors: 0.3 },
];

for (const optimizer of kinds)
  test(`Optimizer ${optimizer.kind} goes on to the bit from its states, its sum and its counters`, async () => {
    const from = create({ optimizer, accumulate: 2 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 8 }), fc.string(), async (stop, seed) => {
        const feed = async (target: Optimizer, microBatch: number): Promise<void> => {
          target.gradient.set(draws(`${seed} ${microBatch}`));
          target.collect();
          if (target.collected === 2) await target.update(0.02, target.gradientNorm());
        };
        from.parameters.set(draws(seed));
        Object.assign(from, { step: 0, collected: 0 });
        for (const values of Object.values(from.states)) values.fill(0);
        for (let microBatch = 0; microBatch < stop; microBatch++) await feed(from, microBatch);
        const resumed = create({ optimizer, accumulate: 2 });
        resumed.parameters.set(from.parameters);
        for (const [name, values] of Object.entries(from.states)) resumed.states[name]?.set(values);
        if (from.sum) resumed.sum?.set(from.sum);
        Object.assign(resumed, { step: from.step, collected: from.collected });
        for (let microBatch = stop; microBatch < 12; microBatch++)
          for (const target of [from, resumed]) await feed(target, microBatch);
        assert.equal(bits(resumed.parameters), bits(from.parameters));
        assert.deepEqual(resumed.states, from.states);
      }),
      { numRuns: 15 },
    );
  });

test('createVectorMemory refuses more than a memory holds, and says how many parameters there may be', () => {
  assert.throws(() => createVectorMemory([3e8, 3e8, 3e8, 3e8]), {
    code: 'too-many-parameters',
    message: /16\.0 bytes for each of 300000000 parameters, of which there may be 26843\d{4}/,
  });
});
