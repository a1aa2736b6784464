import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import { createAdamW, decayRanges } from '../src/adamw.ts';
import { createSetting } from './setting.ts';

const { inner } = createSetting().run;
const beta1 = 0.9;
const beta2 = 0.95;
const epsilon = 1e-8;
/** Lengths that do not fill whole SIMD vectors, in both kinds of range. */
const slots = [
  { offset: 0, length: 7, decays: true },
  { offset: 7, length: 13, decays: true },
  { offset: 20, length: 3, decays: false },
  { offset: 23, length: 18, decays: true },
];
const length = 41;

test('decayRanges joins neighbours that agree', () => {
  assert.deepEqual(decayRanges(slots), [
    { start: 0, end: 20, decays: true },
    { start: 20, end: 23, decays: false },
    { start: 23, end: 41, decays: true },
  ]);
});

test('AdamW follows the published update in float64 over 30 steps', () => {
  const adamw = createAdamW(length, decayRanges(slots), inner);
  const random = createRandom('adamw');
  const draw = (): number => random.unit() * 2 - 1;
  const θ = Array.from({ length }, draw);
  adamw.parameters.set(θ);
  const m = new Array<number>(length).fill(0);
  const v = new Array<number>(length).fill(0);
  for (let step = 1; step <= 30; step++) {
    const gradient = Float32Array.from({ length }, () => draw() * (step % 2 === 0 ? 5 : 0.01));
    adamw.gradient.set(gradient);
    const norm = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
    assert.ok(Math.abs(adamw.gradientNorm() - norm) < 1e-6 * norm);
    const learningRate = 1e-2;
    const rate = learningRate * Math.min(1, step / 10);
    adamw.update(learningRate, adamw.gradientNorm());
    for (let i = 0; i < length; i++) {
      const g = (gradient[i] as number) * Math.min(1, inner.clipNorm / norm);
      m[i] = beta1 * (m[i] as number) + (1 - beta1) * g;
      v[i] = beta2 * (v[i] as number) + (1 - beta2) * g * g;
      const decay = i < 20 || i >= 23 ? inner.weightDecay : 0;
      const mean = (m[i] as number) / (1 - beta1 ** step);
      const deviation = Math.sqrt((v[i] as number) / (1 - beta2 ** step));
      θ[i] = (θ[i] as number) * (1 - rate * decay) - (rate * mean) / (deviation + epsilon);
    }
  }
  for (let i = 0; i < length; i++)
    assert.ok(Math.abs((adamw.parameters[i] as number) - (θ[i] as number)) < 2e-6, `value ${i}`);
});

test('AdamW gradientNorm is not finite when a gradient is not', () => {
  const adamw = createAdamW(length, decayRanges(slots), inner);
  adamw.gradient[40] = Number.NaN;
  assert.ok(Number.isNaN(adamw.gradientNorm()));
  adamw.gradient[40] = Number.POSITIVE_INFINITY;
  assert.equal(adamw.gradientNorm(), Number.POSITIVE_INFINITY);
});
