import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createRandom, matchesCid, nameBlob } from '@murmuration/base';
import { decodeDelta, deltaNorm, encodeDelta, type ValueBits } from '@murmuration/delta';
import { gpt, initializeParameters, parametersOf } from '@murmuration/onnx';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Evaluation, TrainProgress } from '../src/index.ts';
import { readRunModel } from '../src/model.ts';
import { createForwardProgram } from '../src/program.ts';
import { block, createSetting, executionOf, genesis, peer, startEngine, temporaryFolder } from './setting.ts';

const setting = createSetting();
const base = { base: genesis, baseHeight: 0 };
const bits = ({ bitsPerByte = Number.NaN }: Evaluation): number => bitsPerByte;

test('Engine train lowers the held-out loss of real text, and the delta brings it to θ', async (t) => {
  const reports: TrainProgress[] = [];
  const engine = await startEngine(t, setting, { onProgress: (progress) => reports.push(progress) });
  const opened = await engine.open(genesis);
  assert.equal(opened.tensors, setting.run.initial.tensors);
  const before = await engine.evaluate();
  assert.ok(bits(before) > 7.5 && bits(before) < 8.5, `${bits(before)}`);
  assert.ok(before.loss > 5 && before.loss < 6, `${before.loss}`);
  const progress = await engine.train({ steps: 150, round: 0 });
  assert.equal(progress.step, 150);
  assert.ok(progress.tokensPerSecond > 0);
  const { wallSeconds, trainingSeconds, evaluationSeconds, callsSeconds } = progress.time;
  assert.ok(trainingSeconds > 0 && trainingSeconds <= wallSeconds);
  assert.ok(callsSeconds < wallSeconds - trainingSeconds && evaluationSeconds === 0);
  const local = await engine.evaluate({ parameters: 'local' });
  assert.ok(bits(local) < 4, `${bits(local)}`);
  assert.deepEqual(await engine.evaluate(), before);
  const delta = await engine.encode(base);
  assert.deepEqual([delta.steps, delta.tokens], [150, 150 * 8 * 32]);
  assert.ok(delta.loss > 0 && Math.abs(delta.loss - progress.loss) < 1e-9);
  const { execution, blobs } = executionOf(genesis, 1, [{ author: peer(1), delta }]);
  await engine.apply(block('1'), execution, blobs, delta.blob);
  const common = await engine.evaluate();
  assert.ok(bits(common) < bits(before), `${bits(common)}`);
  const { time } = await engine.train({ steps: 1, round: 1 });
  assert.ok(time.trainingSeconds > trainingSeconds && time.evaluationSeconds > 0 && time.callsSeconds > 0);
  assert.ok(time.trainingSeconds + time.evaluationSeconds + time.callsSeconds <= time.wallSeconds);
  assert.ok(reports.every(({ loss }) => Number.isFinite(loss)));
});

test('Engines that apply the same blocks have the same state, whatever they trained', async (t) => {
  const [first, second, follower] = await Promise.all([
    startEngine(t, setting),
    startEngine(t, setting, { self: peer(2) }),
    startEngine(t, setting, { self: peer(3), data: [] }),
  ]);
  const engines = [first, second, follower] as const;
  for (const engine of engines) await engine.open(genesis);
  let parent = genesis;
  for (let height = 1; height <= 3; height++) {
    const from = { base: parent, baseHeight: height - 1 };
    await Promise.all([first.train({ steps: 3, round: height }), second.train({ steps: 4, round: height })]);
    const [one, two] = await Promise.all([first.encode(from), second.encode(from)]);
    const { execution, blobs } = executionOf(parent, height, [
      { author: peer(1), delta: one, clip: 0.7 },
      { author: peer(2), delta: two },
    ]);
    await second.train({ steps: 2, round: height });
    const name = block(`${height}`);
    const names = await Promise.all(engines.map((engine) => engine.execute(execution, blobs)));
    await first.apply(name, execution, blobs, one.blob);
    await second.apply(name, execution, blobs, two.blob);
    await follower.apply(name, execution, blobs, undefined);
    const tensors = [];
    for (const engine of engines) {
      const bytes = readFileSync((await engine.snapshot()).path);
      tensors.push(nameBlob(bytes).cid);
    }
    assert.equal(new Set([...names, ...tensors]).size, 1);
    await first.settle(name);
    await second.settle(name);
    await follower.settle(name);
    parent = name;
  }
});

test('Engine execute names a state without changing it; undo restores it', async (t) => {
  const engine = await startEngine(t, setting);
  const { tensors } = await engine.open(genesis);
  await engine.train({ steps: 3, round: 0 });
  const delta = await engine.encode(base);
  const { execution, blobs } = executionOf(genesis, 1, [{ author: peer(1), delta }]);
  const after = await engine.execute(execution, blobs);
  assert.notEqual(after, tensors);
  assert.equal((await engine.snapshot()).tensors, tensors);
  await engine.apply(block('1'), execution, blobs, delta.blob);
  const applied = await engine.snapshot();
  assert.deepEqual([applied.tensors, applied.block, applied.height], [after, block('1'), 1]);
  assert.ok(matchesCid(readFileSync(applied.path), after));
  const other = executionOf(genesis, 1, [{ author: peer(1), delta, clip: 0.5 }]);
  const beside = await engine.execute(other.execution, blobs);
  assert.notEqual(beside, after);
  await engine.undo(block('1'));
  assert.equal((await engine.snapshot()).tensors, tensors);
  assert.equal(await engine.execute(other.execution, blobs), beside);
  await assert.rejects(engine.undo(block('1')), { code: 'not-undoable' });
  await assert.rejects(engine.encode(base), { code: 'already-pending' });
  await engine.expire(genesis);
  await assert.rejects(engine.encode(base), { code: 'already-pending' });
  await engine.expire(delta.blob);
  await assert.rejects(engine.encode(base), { code: 'nothing-to-encode' });
});

test("Engine validate takes the author's bytes alone", async (t) => {
  const engine = await startEngine(t, setting);
  await engine.open(genesis);
  await engine.train({ steps: 2, round: 0 });
  const { bytes, norm } = await engine.encode(base);
  const expected = { author: peer(1), base: genesis, norm };
  assert.deepEqual(await engine.validate(bytes, expected), { valid: true });
  const refused = async (blob: Uint8Array, changes: Partial<typeof expected> = {}): Promise<void> => {
    const answer = await engine.validate(blob, { ...expected, ...changes });
    assert.ok(!answer.valid && answer.reason.length > 10, JSON.stringify(answer));
  };
  await refused(bytes, { author: peer(2) });
  await refused(bytes, { base: block('other') });
  await refused(bytes, { norm: norm * 1.001 });
  await refused(bytes, { norm: Number.NaN });
  const random = createRandom('validate');
  for (const length of [0, 1, 50, bytes.length, 70_000])
    await refused(Uint8Array.from({ length }, () => random.below(256)));
  for (let i = 0; i < 20; i++) await refused(bytes.subarray(0, random.below(bytes.length)));
  for (let i = 0; i < 40; i++) {
    const flipped = bytes.slice();
    const at = random.below(bytes.length);
    flipped[at] = (flipped[at] as number) ^ (1 << random.below(8));
    const answer = await engine.validate(flipped, expected);
    // A flipped sign is another delta of the same norm: its name tells it apart.
    if (answer.valid) assert.notEqual(nameBlob(flipped).cid, nameBlob(bytes).cid);
  }
  const infinite = bytes.slice();
  infinite.set([0xff, 0xff], 106);
  await refused(infinite);
});

test("Engine encodes and accepts k within the run's bounds, and its bits, and nothing else", async (t) => {
  const engine = await startEngine(t, setting);
  await engine.open(genesis);
  await engine.train({ steps: 2, round: 0 });
  const { delta: bounds, initial } = setting.run;
  for (const k of [bounds.kMin - 1, bounds.k + 1])
    await assert.rejects(engine.encode({ ...base, k }), /k from 16 to 64/);
  const { bytes } = await engine.encode({ ...base, k: bounds.kMin });
  const { header, settings } = decodeDelta(bytes, { parameters: initial.parameters });
  assert.deepEqual(settings, { k: bounds.kMin, bits: bounds.bits });
  const vector = Float32Array.from({ length: initial.parameters }, (_, i) => ((i * 7) % 13) - 6);
  const isValid = async (k: number, bits: ValueBits): Promise<boolean> => {
    const blob = encodeDelta(vector, header, { k, bits });
    const norm = deltaNorm(decodeDelta(blob, { parameters: initial.parameters }).delta);
    return (await engine.validate(blob, { author: peer(1), base: genesis, norm })).valid;
  };
  for (const k of [bounds.kMin, 40, bounds.k]) assert.ok(await isValid(k, bounds.bits), `k ${k}`);
  for (const k of [bounds.kMin - 1, bounds.k + 1]) assert.ok(!(await isValid(k, bounds.bits)), `k ${k}`);
  for (const bits of [2, 4, 8] as const) assert.ok(!(await isValid(bounds.k, bits)), `${bits} bits`);
});

test('Engine apply refuses a wrong parent, a missing blob and a foreign delta, and changes nothing', async (t) => {
  const engine = await startEngine(t, setting);
  const { tensors } = await engine.open(genesis);
  await engine.train({ steps: 2, round: 0 });
  const delta = await engine.encode(base);
  const author = peer(1);
  const good = executionOf(genesis, 1, [{ author, delta }]);
  const orphan = executionOf(block('unknown'), 2, [{ author, delta }]);
  const foreign = executionOf(genesis, 1, [{ author: peer(2), delta }]);
  await assert.rejects(engine.execute(orphan.execution, orphan.blobs), { code: 'unknown-parent' });
  await assert.rejects(engine.apply(block('2'), orphan.execution, orphan.blobs, undefined), {
    code: 'unknown-parent',
  });
  await assert.rejects(engine.apply(block('1'), good.execution, new Map(), undefined), {
    code: 'missing-blob',
  });
  await assert.rejects(engine.execute(foreign.execution, foreign.blobs), { code: 'bad-blob' });
  await assert.rejects(engine.encode({ base: block('other'), baseHeight: 0 }), { code: 'unknown-parent' });
  assert.equal((await engine.snapshot()).tensors, tensors);
});

test('Engine serves calls between two steps; pause ends training within one', async (t) => {
  const engine = await startEngine(t, setting);
  await engine.open(genesis);
  await engine.train({ steps: 5, round: 0 });
  const training = engine.train({ steps: 1_000_000, round: 0 });
  const delta = await engine.encode(base);
  const { execution, blobs } = executionOf(genesis, 1, [{ author: peer(1), delta }]);
  await engine.apply(block('1'), execution, blobs, delta.blob);
  assert.ok(bits(await engine.evaluate({ bytesMax: 1_000 })) > 0);
  await engine.pause();
  const { step } = await training;
  assert.ok(step < 100_000);
  assert.equal((await engine.train({ steps: 0, round: 0 })).step, step);
  await engine.pause();
});

test('Engine install takes a snapshot of the right name and keeps local work', async (t) => {
  const [giver, taker] = [await startEngine(t, setting), await startEngine(t, setting, { self: peer(2) })];
  await giver.open(genesis);
  await taker.open(genesis);
  await giver.train({ steps: 20, round: 0 });
  const delta = await giver.encode(base);
  const { execution, blobs } = executionOf(genesis, 64, [{ author: peer(1), delta }]);
  await giver.apply(block('64'), execution, blobs, delta.blob);
  const { path, tensors, size, chunks } = await giver.snapshot();
  assert.deepEqual([size, chunks.length], [readFileSync(path).length, Math.ceil(size / 262_144)]);
  await taker.train({ steps: 20, round: 0 });
  const state = { path, block: block('64'), height: 64, tensors };
  const damaged = join(temporaryFolder(t), 'damaged');
  const bytes = readFileSync(path);
  bytes[100] = (bytes[100] as number) ^ 1;
  writeFileSync(damaged, bytes);
  await assert.rejects(taker.install({ ...state, path: damaged }), { code: 'bad-snapshot' });
  writeFileSync(damaged, bytes.subarray(4));
  await assert.rejects(taker.install({ ...state, path: damaged }), { code: 'bad-snapshot' });
  await assert.rejects(taker.install({ ...state, path: `${damaged}-missing` }), { code: 'disk' });
  await taker.install(state);
  assert.equal((await taker.snapshot()).tensors, tensors);
  const local = await taker.evaluate({ parameters: 'local' });
  const common = await taker.evaluate();
  assert.ok(bits(local) < bits(common));
  const own = await taker.encode({ base: block('64'), baseHeight: 64 });
  assert.equal(own.steps, 20);
});

test('Engine exportOnnx writes a model that stock onnxruntime runs to the same logits', async (t) => {
  const engine = await startEngine(t, setting, { data: [] });
  await engine.open(genesis);
  const path = join(temporaryFolder(t), 'exported', 'model.onnx');
  await engine.exportOnnx(path);
  const session = await InferenceSession.create(path);
  assert.deepEqual(session.inputNames, ['tokens']);
  assert.deepEqual(session.outputNames, ['logits']);
  const tokens = BigInt64Array.from({ length: 24 }, (_, i) => BigInt((i * 37) % 256));
  const output = await session.run({ tokens: new Tensor('int64', tokens, [2, 12]) });
  const runModel = readRunModel(setting.graph, setting.run);
  const θ = initializeParameters(parametersOf(runModel.model), 'seed');
  const frozen = new Float32Array();
  const program = await createForwardProgram({ runModel, frozen, output: 'logits', threads: 1 });
  const expected = await program.run(θ, { tokens: { type: 'int64', shape: [2, 12], data: tokens } });
  const logits = output.logits as Tensor;
  assert.deepEqual(logits.dims, [2, 12, 260]);
  (logits.data as Float32Array).forEach((value, i) => {
    assert.ok(Math.abs(value - (expected[i] as number)) < 1e-5);
  });
});

test('Engine generate continues a prompt, the same way for the same seed', async (t) => {
  const engine = await startEngine(t, setting);
  await engine.open(genesis);
  const options = { bytes: 40, temperature: 1, seed: 'a' };
  const text = await engine.generate('Bonjour', options);
  assert.equal(await engine.generate('Bonjour', options), text);
  assert.notEqual(await engine.generate('Bonjour', { ...options, seed: 'b' }), text);
  await assert.rejects(engine.generate('', { ...options, temperature: -1 }), { code: 'bad-prompt' });
  await assert.rejects(engine.generate('', { ...options, bytes: 1e9 }), { code: 'bad-prompt' });
});

test('Engine open refuses another initial state, and calls before it', async (t) => {
  const wrong = createSetting({ seed: 'other' });
  const engine = await startEngine(t, wrong);
  await assert.rejects(engine.train({ steps: 1, round: 0 }), { code: 'not-open' });
  await assert.rejects(engine.open(genesis), { code: 'bad-initial-state' });
  const right = await startEngine(t, setting, { data: [] });
  await right.open(genesis);
  await assert.rejects(right.open(genesis), { code: 'already-open' });
  await assert.rejects(right.train({ steps: 1, round: 0 }), { code: 'no-data' });
  await assert.rejects(right.evaluate(), { code: 'no-data' });
});

test('createEngine refuses bad data and bad graphs', async (t) => {
  const folder = temporaryFolder(t);
  const rejects = (changes: object, code: string) =>
    assert.rejects(startEngine(t, setting, { directory: temporaryFolder(t), ...changes }), {
      code,
      name: 'EngineError',
    });
  await rejects({ data: [join(folder, 'missing')] }, 'bad-data-path');
  await rejects({ data: [folder] }, 'bad-data-path');
  writeFileSync(join(folder, 'short.txt'), 'hello');
  await rejects({ data: [folder] }, 'too-little-text');
  await rejects({ graph: new Uint8Array(100).fill(7) }, 'bad-graph');
  await rejects({ graph: createSetting({ model: { width: 64 } }).graph }, 'bad-graph');
  assert.ok(gpt({ vocabulary: 260, context: 8, width: 8, layers: 1, heads: 1 }));
});
