/** The peers of the benchmark `convergence`, at a size that takes seconds. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { drawChart } from '../bench/convergence/chart.ts';
import { nameOf, settingOf, type TrainingPlan } from '../bench/convergence/plan.ts';
import { type Outcome, type Point, trainPlan } from '../bench/convergence/train.ts';

const folder = mkdtempSync(join(tmpdir(), 'murmuration-convergence-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Three languages that have nothing in common. */
const texts = ['abcdefgh', 'ijklmnop', 'qrstuvwx'].map((letters) => {
  const directory = join(folder, letters);
  mkdirSync(directory);
  const line = (index: number): string =>
    Array.from({ length: 40 }, (_, at) => letters[(at * (1 + (index % 3)) + index) % letters.length]).join(
      '',
    );
  const lines = Array.from({ length: 400 }, (_, index) => `${line(index)} ${index}`);
  writeFileSync(join(directory, 'text.txt'), lines.join('\n'));
  return directory;
});

const plan: TrainingPlan = {
  ...{ method: 'ours', peers: 3, steps: 120, batch: 4, context: 16, width: 8, layers: 1, heads: 1 },
  optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.99, epsilon: 1e-8 },
  ...{ learningRate: 2e-2, weightDecay: 0.1, clipNorm: 1, roundSteps: 4, overlapSteps: 0 },
  ...{ k: 1_024, bits: 1, feedback: 0.9, kappa: 0, outerStep: 1, outerMomentum: 0, seed: 1 },
};

const train = (change: Partial<TrainingPlan> = {}): Promise<Outcome> =>
  trainPlan({ plan: { ...plan, ...change }, texts, heldOutBytes: 2_000, points: 4 }, () => undefined);

const last = ({ curve }: Outcome): Point => curve.at(-1) as Point;

/** Nats per byte of a model that knows nothing: 260 tokens. */
const ignorance = Math.log(260);

describe('trainPlan', { timeout: 240_000 }, () => {
  it('teaches all languages by each method that exchanges, and alone only one', async () => {
    const [parallel, diloco, ours, alone] = await Promise.all([
      train({ method: 'data-parallel', roundSteps: 1 }),
      train({ method: 'diloco', outerStep: 1, outerMomentum: 0.3 }),
      train(),
      train({ method: 'alone' }),
    ]);
    for (const outcome of [parallel, diloco, ours]) assert.ok(last(outcome).loss < 0.75 * ignorance);
    for (const outcome of [parallel, diloco, ours]) assert.ok(last(outcome).loss < last(alone).loss);
    assert.equal(last(alone).bytes, 0);
  });

  it('counts steps, tokens and bytes', async () => {
    const [parallel, diloco, ours] = await Promise.all([
      train({ method: 'data-parallel', roundSteps: 1, steps: 10 }),
      train({ method: 'diloco', steps: 10 }),
      train({ steps: 10 }),
    ]);
    const { parameters } = parallel;
    assert.equal(parameters, settingOf(plan).theta.length);
    for (const outcome of [parallel, diloco, ours]) {
      assert.equal(last(outcome).steps, 10);
      assert.equal(last(outcome).tokens, 10 * 3 * 4 * 16);
    }
    assert.equal(last(parallel).bytes, 10 * 4 * parameters);
    assert.equal(last(diloco).bytes, 3 * 4 * parameters);
    assert.ok(last(ours).bytes > 0 && last(ours).bytes < last(diloco).bytes);
  });

  it('gives the same curve twice, and another with another seed', async () => {
    const [once, again, other] = await Promise.all([
      train({ steps: 12 }),
      train({ steps: 12 }),
      train({ steps: 12, seed: 2 }),
    ]);
    assert.deepEqual(once.curve, again.curve);
    assert.notDeepEqual(once.curve, other.curve);
  });

  for (const disturbance of ['slow', 'joins', 'late', 'dropped'] as const)
    it(`learns on with a disturbance (${disturbance})`, async () => {
      const outcome = await train({ disturbance });
      assert.ok(last(outcome).loss < 0.8 * ignorance, `${last(outcome).loss}`);
    });

  it('learns with deltas that are on their way while it trains', async () => {
    const outcome = await train({ overlapSteps: 2 });
    assert.ok(last(outcome).loss < 0.8 * ignorance, `${last(outcome).loss}`);
  });
});

describe('nameOf', () => {
  it('differs between plans, and does not depend on the order of their keys', () => {
    const reversed = Object.fromEntries(Object.entries(plan).reverse()) as unknown as TrainingPlan;
    assert.equal(nameOf(plan), nameOf(reversed));
    assert.notEqual(nameOf(plan), nameOf({ ...plan, seed: 2 }));
  });
});

describe('drawChart', () => {
  it('draws a path for each series, without what a logarithm has not got, and escapes text', () => {
    const svg = drawChart({
      ...{ title: 'a < b', xLabel: 'x', yLabel: 'y' },
      series: [
        {
          label: 'one',
          points: [
            [1, 2],
            [10, 3],
            [100, 1],
          ],
        },
        {
          label: 'two & three',
          points: [
            [0, 9],
            [50, 2],
          ],
        },
        { label: 'nothing', points: [[0, 3]] },
      ],
    });
    assert.equal(svg.match(/<path /g)?.length, 2);
    assert.ok(svg.includes('a &#60; b') && svg.includes('two &#38; three'));
    assert.ok(!svg.includes('nothing') && !svg.includes('NaN'));
  });
});
