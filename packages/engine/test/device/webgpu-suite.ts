/** Runs in a process of its own, which has a driver for WebGPU: see webgpu.test.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom, exampleRun, type ParameterLayout, type RunConfigInput } from '@murmuration/base';
import { gpt, initializeParameters, type Model } from '@murmuration/onnx';
import { createLearner } from '../../src/create-learner.ts';
import { createEngine } from '../../src/index.ts';
import type { Learner } from '../../src/learner.ts';
import { readRunModel } from '../../src/model.ts';
import { createOptimizer, type Optimizer } from '../../src/optimizers/optimizer.ts';
import { sizeInputs } from '../../src/samples.ts';
import { classifier } from '../arrays.ts';
import {
  block,
  createSetting,
  executionOf,
  french,
  genesis,
  peer,
  settingOf,
  temporaryFolder,
} from '../setting.ts';
import { convolutional, recurrent, rewritten } from './models.ts';

type Inner = RunConfigInput['inner'];
type Shapes = Readonly<Record<string, readonly number[]>>;

const adamw: Inner['optimizer'] = { kind: 'adamw', beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
const inner: Inner = { ...exampleRun.inner, optimizer: adamw, weightDecay: 0.1, clipNorm: 0.5 };
const batch = 4;

interface Placed {
  readonly learner: Learner;
  readonly optimizer: Optimizer;
  readonly layout: ParameterLayout;
}

/** Learners of one model on both devices, at the same parameters. */
async function onBoth(model: Model, shapes: Shapes, changes: Partial<Inner> = {}): Promise<[Placed, Placed]> {
  const isText = 'tokens' in shapes;
  const { graph, run } = settingOf(model, {
    ...{ batch, inner: { ...inner, ...changes } },
    ...(isText ? {} : { data: { kind: 'arrays' } }),
  });
  const runModel = readRunModel(graph, run);
  const { declarations, layout, inputs } = runModel;
  const place = async (name: 'cpu' | 'webgpu'): Promise<Placed> => {
    const optimizer = createOptimizer({ declarations, layout, inner: run.inner, threads: 1 });
    const { learner, device } = await createLearner({
      ...{
        inner: run.inner,
        runModel,
        optimizer,
        threads: 1,
        noiseSeed: 'noise',
        checkpointActivations: false,
      },
      ...{ frozen: new Float32Array(), sizes: sizeInputs(inputs, batch, shapes) },
      device: { wish: name, name, reason: 'as asked for' },
    });
    assert.deepEqual([device.name, device.reason], [name, 'as asked for']);
    optimizer.parameters.set(initializeParameters(declarations, 'seed'));
    learner.push('parameters');
    return { learner, optimizer, layout };
  };
  return [await place('cpu'), await place('webgpu')];
}

/** Fills the inputs with samples that depend on the number alone; labels and tokens are below `classes`. */
function fill({ inputs }: Learner, number: number, classes: number): void {
  const random = createRandom(`samples ${number}`);
  for (const { data } of Object.values(inputs))
    for (let i = 0; i < data.length; i++)
      data[i] = data instanceof BigInt64Array ? BigInt(random.below(classes)) : 2 * random.unit() - 1;
}

function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.equal(actual.length, expected.length);
  const norm = Math.hypot(...Array.from(expected));
  const difference = Math.hypot(...Array.from(expected, (value, index) => value - (actual[index] as number)));
  assert.ok(norm > 0, `${what} is zero`);
  assert.ok(difference <= 1e-3 * norm, `${what}: ${difference} of ${norm}`);
}

const transformer = (): Model => gpt({ vocabulary: 40, context: 8, width: 16, layers: 1, heads: 2 });
const tokens: Shapes = { tokens: [8], targets: [8] };

for (const [name, model, shapes, classes] of [
  ['a transformer', transformer(), tokens, 40],
  ['a convolutional net with batch normalization', convolutional(), { image: [2, 6, 6], label: [] }, 3],
  ['an LSTM', recurrent(), { series: [4, 3], label: [] }, 3],
  ['operators that are rewritten', rewritten(), { row: [6], label: [] }, 3],
] as const)
  test(`Learner on WebGPU gives the loss and every gradient of ${name} that the CPU gives`, async () => {
    const [host, device] = await onBoth(model, shapes, { accumulate: 2 });
    for (const { learner } of [host, device]) fill(learner, 0, classes);
    const expected = await host.learner.collect(0);
    const loss = await device.learner.collect(0);
    assert.ok(Math.abs(loss - expected) <= 1e-3 * Math.abs(expected), `${loss}, ${expected}`);
    await device.learner.pull('all');
    const { layout } = device;
    for (const { name: parameter, offset, length } of layout.slots) {
      const [ours, theirs] = [device, host].map(({ optimizer }) =>
        (optimizer.sum as Float32Array).subarray(offset, offset + length),
      ) as [Float32Array, Float32Array];
      assertClose(ours, theirs, `the gradient of ${parameter}`);
    }
    assertClose([await device.learner.gradientNorm()], [await host.learner.gradientNorm()], 'norm');
  });

const momentum = { momentum: 0.9, nesterov: true } as const;
for (const [name, model, shapes, changes] of [
  ['AdamW on a transformer', transformer(), tokens, {}],
  [
    'AdamW with dropout, running statistics and accumulation',
    classifier({ dropout: 0.2, normalized: true }),
    { pixels: [6], label: [] },
    { accumulate: 3 },
  ],
  ['SGD', transformer(), tokens, { optimizer: { kind: 'sgd', ...momentum } }],
  [
    'Muon',
    transformer(),
    tokens,
    { optimizer: { ...adamw, kind: 'muon', ...momentum, iterations: 5, rateOfVectors: 0.3 } },
  ],
] as const)
  test(`Learner on WebGPU takes the steps that the CPU takes: ${name}`, async () => {
    const [host, device] = await onBoth(model, shapes, changes as Partial<Inner>);
    for (const { learner, optimizer } of [host, device]) {
      let counter = 0;
      for (let step = 0; step < 6; step++) {
        do {
          fill(learner, counter, 3);
          await learner.collect(counter++);
        } while (learner.collected < ((changes as Partial<Inner>).accumulate ?? 1));
        await learner.update(0.02, await learner.gradientNorm());
        if (step === 2) {
          await learner.pull('parameters');
          optimizer.parameters.forEach((value, index) => {
            optimizer.parameters[index] = value + (index % 3) / 100;
          });
          learner.push('parameters');
        }
      }
      await learner.pull('all');
    }
    assert.equal(device.optimizer.step, 6);
    assertClose(device.optimizer.parameters, host.optimizer.parameters, 'the parameters');
    for (const [state, values] of Object.entries(host.optimizer.states))
      assertClose(device.optimizer.states[state] as Float32Array, values, state);
  });

test('Learner on WebGPU takes no step from a gradient that is no number, and goes on after discard', async () => {
  const [, { learner, optimizer }] = await onBoth(classifier(), { pixels: [6], label: [] });
  const before = optimizer.parameters.slice();
  fill(learner, 0, 3);
  (learner.inputs.pixels?.data as Float32Array)[0] = Number.NaN;
  const loss = await learner.collect(0);
  assert.ok(!Number.isFinite(loss) || !Number.isFinite(await learner.gradientNorm()));
  learner.discard();
  await learner.pull('all');
  assert.deepEqual(optimizer.parameters, before);
  fill(learner, 1, 3);
  assert.ok(Number.isFinite(await learner.collect(1)));
  assert.ok(Number.isFinite(await learner.gradientNorm()));
});

test('Engine whose process the device ends starts again on the CPU, and says so', async (t) => {
  const { NODE_OPTIONS: before } = process.env;
  process.env.NODE_OPTIONS = `${before ?? ''} --import=${new URL('./end-on-webgpu.ts', import.meta.url)}`;
  try {
    const engine = await createEngine({
      ...{ ...createSetting(), self: peer(1), directory: temporaryFolder(t), data: [french] },
      ...{ threads: 1, niceness: 0, device: 'webgpu' },
    });
    t.after(() => engine.close().catch(() => undefined));
    assert.deepEqual((await engine.open(genesis)).device, {
      wish: 'webgpu',
      name: 'cpu',
      reason: "webgpu ended the engine's process (SIGABRT)",
    });
    assert.equal((await engine.train({ steps: 2, round: 0 })).step, 2);
  } finally {
    if (before === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = before;
  }
});

test('Engine on WebGPU trains, contributes and applies, and goes on from its checkpoint on the CPU', async (t) => {
  const setting = createSetting({
    model: { context: 16, width: 16, layers: 1 },
    run: { batch: 4, data: { kind: 'text', tokenizer: 'bytes', context: 16 } },
  });
  const losses = new Map<string, number[]>();
  for (const device of ['webgpu', 'cpu'] as const) {
    const directory = temporaryFolder(t);
    const start = (name: 'webgpu' | 'cpu') =>
      createEngine({
        ...{ ...setting, self: peer(1), directory, data: [french], threads: 1, niceness: 0 },
        device: name,
      });
    const engine = await start(device);
    t.after(() => engine.close().catch(() => undefined));
    const opened = await engine.open(genesis);
    assert.deepEqual(opened.device, { wish: device, name: device, reason: 'as asked for' });
    const first = await engine.train({ steps: 3, round: 0 });
    const delta = await engine.encode({ base: genesis, baseHeight: 0 });
    const { execution, blobs } = executionOf(genesis, 1, [{ author: peer(1), delta }]);
    await engine.apply(block('1'), execution, blobs, delta.blob);
    const second = await engine.train({ steps: 3, round: 1 });
    const local = await engine.evaluate({ parameters: 'local', bytesMax: 500 });
    await engine.close();
    const again = await start('cpu');
    t.after(() => again.close().catch(() => undefined));
    assert.equal((await again.open(genesis)).step, 6);
    const reopened = await again.evaluate({ parameters: 'local', bytesMax: 500 });
    assert.equal(reopened.loss, local.loss);
    const third = await again.train({ steps: 2, round: 1 });
    losses.set(device, [first.loss, delta.norm, second.loss, local.loss, third.loss]);
  }
  const [ours, theirs] = [losses.get('webgpu'), losses.get('cpu')] as [number[], number[]];
  ours.forEach((value, index) => {
    assertClose([value], [theirs[index] as number], `figure ${index}`);
  });
});
