import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { exampleRun, nameBlob, type RunConfigInput } from '@murmuration/base';
import { initializeParameters, type Model, parametersKey, parametersOf } from '@murmuration/onnx';
import { openCheckpoints } from '../src/checkpoint.ts';
import { bytesOf, classifier, writeSamples } from './arrays.ts';
import {
  block,
  executionOf,
  genesis,
  peer,
  type Setting,
  settingOf,
  startEngine,
  temporaryFolder,
} from './setting.ts';

const arrays: Partial<RunConfigInput> = { data: { kind: 'arrays' }, batch: 8 };
const fileOf = (folder: string, name: string, values: Float32Array): string => {
  const path = join(folder, name);
  writeFileSync(path, bytesOf(values));
  return path;
};
const cidOf = (values: Float32Array): string => nameBlob(bytesOf(values)).cid;
/** θ and θ_local, which come after AdamW's two moments. */
const parametersIn = (setting: Setting, directory: string): [Float32Array, Float32Array] => {
  const stored = openCheckpoints(directory, setting.runId).load()?.arrays ?? [];
  return [new Float32Array(stored[2] ?? new ArrayBuffer()), new Float32Array(stored[3] ?? new ArrayBuffer())];
};

test('Engine begins a run without seed from the file of its first parameters', async (t) => {
  const folder = temporaryFolder(t);
  const model = classifier();
  const first = initializeParameters(parametersOf(model), 'elsewhere');
  const initial = { tensors: cidOf(first), parameters: first.length };
  const setting = settingOf(model, { ...arrays, initial });
  const start = (path?: string) =>
    startEngine(t, setting, { data: [], weights: { initial: path }, directory: join(folder, 'engine') });
  const none = await start();
  await assert.rejects(none.open(genesis), { code: 'missing-weights', message: /first parameters/ });
  const wrong = await start(
    fileOf(
      folder,
      'wrong',
      first.map((value) => value + 1),
    ),
  );
  await assert.rejects(wrong.open(genesis), { code: 'bad-snapshot' });
  const right = await start(fileOf(folder, 'right', first));
  assert.equal((await right.open(genesis)).tensors, initial.tensors);
  await right.close();
  assert.equal((await (await start()).open(genesis)).tensors, initial.tensors);
});

test('Engine feeds frozen weights to every pass, and does not move them', async (t) => {
  const folder = temporaryFolder(t);
  const whole = classifier();
  const frozen = Float32Array.from({ length: 6 * 16 }, (_, i) => Math.sin(i));
  const [wide, ...rest] = parametersOf(whole);
  assert.deepEqual(wide?.shape, [6, 16]);
  const model: Model = {
    ...whole,
    metadata: {
      [parametersKey]: JSON.stringify(rest),
      'murmuration.frozen': JSON.stringify([{ name: 'wide', shape: [6, 16] }]),
    },
  };
  const weights = { frozen: fileOf(folder, 'frozen', frozen) };
  const changes = { graph: settingOf(model).run.model.graph, bytes: settingOf(model).run.model.bytes };
  const setting = settingOf(model, {
    ...arrays,
    model: { ...changes, frozen: { tensors: cidOf(frozen), values: frozen.length } },
  });
  const data = [writeSamples(join(folder, 'samples'), 400)];
  await assert.rejects(startEngine(t, setting, { data }), { code: 'missing-weights', message: /frozen/ });
  await assert.rejects(startEngine(t, settingOf(model, arrays), { data, weights }), { code: 'bad-graph' });
  const engine = await startEngine(t, setting, { data, weights });
  await engine.open(genesis);
  const before = await engine.evaluate();
  await engine.train({ steps: 300, round: 0 });
  const after = await engine.evaluate({ parameters: 'local' });
  assert.ok(after.loss < 0.8 * before.loss, `${before.loss} → ${after.loss}`);
  await engine.exportOnnx(join(folder, 'model.onnx'));
});

test('Engine keeps batch statistics to itself: the common model is measured by them in every round', async (t) => {
  const folder = temporaryFolder(t);
  const setting = settingOf(classifier({ normalized: true }), { ...arrays, batch: 32 });
  const engine = await startEngine(t, setting, { data: [writeSamples(join(folder, 'samples'), 800)] });
  await engine.open(genesis);
  const { loss: before } = await engine.evaluate();
  const losses: number[] = [];
  for (let height = 1, parent = genesis; height <= 10; height++) {
    await engine.train({ steps: 20, round: height });
    const delta = await engine.encode({ base: parent, baseHeight: height - 1 });
    const { execution, blobs } = executionOf(parent, height, [{ author: peer(1), delta }]);
    parent = block(`${height}`);
    await engine.apply(parent, execution, blobs, delta.blob);
    await engine.settle(parent);
    losses.push((await engine.evaluate()).loss);
  }
  const rises = losses.filter((loss, round) => !(loss < (losses[round - 1] ?? before) + 0.05));
  assert.deepEqual(rises, [], `${before} → ${losses}`);
  assert.ok((losses.at(-1) as number) < 0.8, `${before} → ${losses}`);
  const θ = await engine.snapshot();
  const bytes = readFileSync(θ.path);
  const statistics = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 48, bytes.byteOffset + 96));
  assert.deepEqual([...statistics], [...Array(6).fill(0), ...Array(6).fill(1)]);
});

test('Engine averages batch statistics beside the optimizer, and evaluates by them', async (t) => {
  const folder = temporaryFolder(t);
  const data = [writeSamples(join(folder, 'samples'), 800)];
  const inner = { ...exampleRun.inner, accumulate: 2 };
  const setting = settingOf(classifier({ normalized: true }), { ...arrays, batch: 32, inner });
  const directory = join(folder, 'engine');
  const engine = await startEngine(t, setting, { data, directory });
  await engine.open(genesis);
  await engine.train({ steps: 200, round: 0 });
  const { loss } = await engine.evaluate({ parameters: 'local' });
  assert.ok(loss < 0.6, `${loss}`);
  await engine.close();
  const [θ, local] = parametersIn(setting, directory);
  const names = parametersOf(classifier({ normalized: true })).map(({ name }) => name);
  assert.deepEqual(names.slice(0, 4), ['scale', 'shift', 'mean', 'variance']);
  assert.deepEqual([...θ.subarray(12, 24)], [...Array(6).fill(0), ...Array(6).fill(1)]);
  for (const mean of local.subarray(12, 18)) assert.ok(Math.abs(mean - 3.5) < 0.4, `mean ${mean}`);
  for (const variance of local.subarray(18, 24)) assert.ok(Math.abs(variance - 5.25) < 0.9, `${variance}`);
});
