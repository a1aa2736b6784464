import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import { createGraphBuilder, type Dimension, type Model, type Tensor } from '@murmuration/onnx';
import { AutodiffError, checkGradients, type LossSettings } from '../../src/index.ts';
import { attachLoss } from '../../src/prepare/losses.ts';
import { runModel, tensor } from '../run-model.ts';

const shape = [3, 4, 5];

function draw(dimensions: readonly number[], seed: string): Tensor {
  const random = createRandom(seed);
  const length = dimensions.reduce((product, size) => product * size, 1);
  return tensor(
    dimensions,
    Array.from({ length }, () => 4 * random.unit() - 2),
  );
}

/** A graph that passes its input `x` on to its output `scores`. */
function scoring(declared: readonly Dimension[] = shape): Model {
  const builder = createGraphBuilder('scores');
  builder.input('x', 'float32', declared);
  builder.node('Mul', ['x', builder.float32(1.5)], {}, 'scores');
  builder.output('scores', 'float32');
  return builder.model();
}

const scores = draw(shape, 'scores');
const scoreAt = (index: number): number => 1.5 * (scores.data[index] as number);
const wholeNumbers = (values: readonly number[], dimensions: readonly number[]): Tensor =>
  tensor(dimensions, values, 'int64');

async function lossOf(
  settings: LossSettings,
  feeds: Readonly<Record<string, Tensor>>,
  model = scoring(),
): Promise<number> {
  const attached = attachLoss(model, settings);
  const checked = await checkGradients(
    attached.model,
    { x: scores, ...feeds },
    {
      loss: attached.loss,
      parameters: ['x'],
      run: runModel,
      coordinatesMax: 60,
      step: 5e-3,
      tolerance: 5e-3,
    },
  );
  assert.equal(checked.length, 1);
  const outputs = [{ name: attached.loss, type: 'float32' as const }];
  const only = { ...attached.model, graph: { ...attached.model.graph, outputs } };
  return (await runModel(only, { x: scores, ...feeds }))[attached.loss]?.[0] as number;
}

/** −Σ w·log p(target) / Σ w over rows of `stride`d classes. */
function expectedCrossEntropy(
  rows: readonly { readonly logits: readonly number[]; readonly target: number; readonly weight: number }[],
  smoothing: number,
): number {
  let total = 0;
  let weights = 0;
  for (const { logits, target, weight } of rows) {
    const normalizer = Math.log(logits.reduce((sum, value) => sum + Math.exp(value), 0));
    const mean = logits.reduce((sum, value) => sum + normalizer - value, 0) / logits.length;
    const own = normalizer - (logits[target] as number);
    total += weight * ((1 - smoothing) * own + smoothing * mean);
    weights += weight;
  }
  return total / Math.max(1, weights);
}

const targets = [0, 4, 2, 1, 3, 3, 0, 2, 4, 1, 1, 0];
const weights = [1, 0, 1, 0.5, 1, 1, 0, 1, 1, 0.25, 1, 1];
const rowsLast = targets.map((target, row) => ({
  logits: Array.from({ length: 5 }, (_, each) => scoreAt(row * 5 + each)),
  target,
  weight: 1,
}));
const close = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) < 1e-5, `expected ${expected}, got ${actual}`);

test('attachLoss cross-entropy is the mean negative log-likelihood of the last axis', async () => {
  const loss = await lossOf({ kind: 'cross-entropy' }, { targets: wholeNumbers(targets, [3, 4]) });
  close(loss, expectedCrossEntropy(rowsLast, 0));
});

test('attachLoss cross-entropy takes classes from another axis', async () => {
  const own = [0, 3, 2, 1, 3, 3, 0, 2, 1, 1, 0, 2, 2, 0, 1];
  const rows = own.map((target, row) => {
    const [sample, at] = [Math.floor(row / 5), row % 5];
    const logits = Array.from({ length: 4 }, (_, each) => scoreAt(sample * 20 + each * 5 + at));
    return { logits, target, weight: 1 };
  });
  const loss = await lossOf({ kind: 'cross-entropy', axis: 1 }, { targets: wholeNumbers(own, [3, 5]) });
  close(loss, expectedCrossEntropy(rows, 0));
});

test('attachLoss cross-entropy smooths labels', async () => {
  const settings = { kind: 'cross-entropy', labelSmoothing: 0.2 } as const;
  const loss = await lossOf(settings, { targets: wholeNumbers(targets, [3, 4]) });
  close(loss, expectedCrossEntropy(rowsLast, 0.2));
});

test('attachLoss cross-entropy leaves ignored targets and masked tokens out', async () => {
  const ignored = targets.map((target, index) => (index % 3 === 0 ? -100 : target));
  const rows = rowsLast.map((row, index) => ({
    ...row,
    weight: index % 3 === 0 ? 0 : (weights[index] as number),
  }));
  const settings = { kind: 'cross-entropy', ignoreIndex: -100, mask: true, labelSmoothing: 0.1 } as const;
  const loss = await lossOf(settings, {
    targets: wholeNumbers(ignored, [3, 4]),
    mask: tensor([3, 4], weights),
  });
  close(loss, expectedCrossEntropy(rows, 0.1));
});

test('attachLoss cross-entropy works on symbolic dimensions', async () => {
  const loss = await lossOf(
    { kind: 'cross-entropy' },
    { targets: wholeNumbers(targets, [3, 4]) },
    scoring(['batch', 'context', 5]),
  );
  close(loss, expectedCrossEntropy(rowsLast, 0));
});

test('attachLoss mse is the mean squared difference', async () => {
  const goal = draw(shape, 'goal');
  const loss = await lossOf({ kind: 'mse' }, { targets: goal });
  const squares = Array.from({ length: 60 }, (_, i) => (scoreAt(i) - (goal.data[i] as number)) ** 2);
  close(loss, squares.reduce((sum, value) => sum + value, 0) / 60);
});

test('attachLoss bce is the mean binary cross-entropy of logits, under a mask', async () => {
  const goal = tensor(
    shape,
    Array.from({ length: 60 }, (_, i) => (i % 4) / 3),
  );
  const mask = tensor(
    shape,
    Array.from({ length: 60 }, (_, i) => i % 2),
  );
  const loss = await lossOf({ kind: 'bce', mask: true }, { targets: goal, mask });
  const values = Array.from({ length: 60 }, (_, i) => {
    const [t, p] = [goal.data[i] as number, 1 / (1 + Math.exp(-scoreAt(i)))];
    return (i % 2) * -(t * Math.log(p) + (1 - t) * Math.log(1 - p));
  });
  close(loss, values.reduce((sum, value) => sum + value, 0) / 30);
});

test('attachLoss output takes the one scalar of the graph, of whatever rank', () => {
  const builder = createGraphBuilder('own');
  builder.input('x', 'float32', [2, 2]);
  builder.node('ReduceSum', ['x'], {}, 'sum');
  builder.node('Mul', ['x', 'x'], {}, 'square');
  builder.output('sum', 'float32');
  builder.output('square', 'float32');
  const { loss, logits } = attachLoss(builder.model(), { kind: 'output' });
  assert.notEqual(loss, 'sum');
  assert.equal(logits, undefined);
});

const refused: readonly { readonly why: string; readonly settings: LossSettings; readonly says: RegExp }[] = [
  { why: 'a graph without a scalar', settings: { kind: 'output' }, says: /scores \[3,4,5\]/ },
  { why: 'an output that is none', settings: { kind: 'mse', output: 'y' }, says: /no output y/ },
  { why: 'an axis beyond the rank', settings: { kind: 'cross-entropy', axis: 3 }, says: /axis 3/ },
  { why: 'the batch as classes', settings: { kind: 'cross-entropy', axis: 0 }, says: /axis 0/ },
  { why: 'half a class to ignore', settings: { kind: 'cross-entropy', ignoreIndex: 0.5 }, says: /got 0\.5/ },
  { why: 'smoothing of everything', settings: { kind: 'cross-entropy', labelSmoothing: 1 }, says: /got 1/ },
];
for (const { why, settings, says } of refused)
  test(`attachLoss refuses ${why}`, () => {
    assert.throws(
      () => attachLoss(scoring(), settings),
      (error: unknown) =>
        error instanceof AutodiffError && error.code === 'bad-request' && says.test(error.message),
    );
  });
