import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ValueInfo } from '@murmuration/onnx';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { arrayFileName, openArrays } from '../src/array-files.ts';
import { readArrayData } from '../src/array-samples.ts';
import { createInput, type InputArray, type Inputs, sizeInputs } from '../src/samples.ts';
import type { ValueRules } from '../src/value-rules.ts';
import { bytesOf, classifier, npyFile, writeSamples } from './arrays.ts';
import { genesis, settingOf, startEngine, temporaryFolder } from './setting.ts';

const inputs: readonly ValueInfo[] = [
  { name: 'x', type: 'float32', shape: ['n', 2] },
  { name: 'y', type: 'int64', shape: ['n'] },
];
const rows = 20;

/** x of row r is [r, −r], y is r. */
function writeRows(folder: string): string {
  const x = Float32Array.from({ length: 2 * rows }, (_, i) => (i % 2 === 0 ? i / 2 : -(i - 1) / 2));
  writeFileSync(join(folder, 'x.npy'), npyFile('<f4', [rows, 2], bytesOf(x)));
  const y = BigInt64Array.from({ length: rows }, (_, row) => BigInt(row));
  writeFileSync(join(folder, 'y.npy'), npyFile('<i8', [rows], bytesOf(y)));
  return folder;
}
const buffers = (batch: number): Inputs => ({
  x: createInput('float32', [batch, 2]),
  y: createInput('int64', [batch]),
});
const rowsIn = ({ x, y }: Inputs): number[] =>
  Array.from(y?.data as BigInt64Array, (value, index) => {
    const row = Number(value);
    assert.deepEqual([x?.data[2 * index], x?.data[2 * index + 1]], [row, -row]);
    return row;
  });

const wrongFrom =
  (holds: (value: number) => boolean) =>
  (values: InputArray, start: number, end: number): number => {
    const wrong = Array.from(values.subarray(start, end), Number).findIndex((value) => !holds(value));
    return wrong < 0 ? wrong : start + wrong;
  };

test('readArrayData feeds rows of all arrays together, held-out ones never, and resumes', (t) => {
  const data = readArrayData({ paths: [writeRows(temporaryFolder(t))], splitSeed: 's', batch: 3, inputs });
  assert.deepEqual(data.sampleShapes, { x: [2], y: [] });
  const heldOut: number[] = [];
  const request = { data: undefined, part: 'held-out', batch: 4, bytesMax: undefined } as const;
  for (const { inputs: values, bytes, weight } of data.batches(request)) {
    heldOut.push(...rowsIn(values));
    assert.equal(bytes, weight * 16);
  }
  assert.equal(heldOut.length, 2);
  const source = data.source({ seed: 'peer', position: 0 });
  const target = buffers(3);
  const seen = Array.from({ length: 6 }, () => {
    source.fill(target);
    return rowsIn(target);
  }).flat();
  const all = [...seen, ...heldOut].toSorted((left, right) => left - right);
  assert.deepEqual(
    all,
    Array.from({ length: rows }, (_, row) => row),
  );
  assert.equal(source.position, 18);
  const resumed = data.source({ seed: 'peer', position: 12 });
  resumed.fill(target);
  assert.deepEqual(rowsIn(target), seen.slice(12, 15));
});

test('readArrayData gives all rows in order, in batches of which the last is smaller, up to a number of bytes', (t) => {
  const paths = [writeRows(temporaryFolder(t))];
  const data = readArrayData({ paths: [], splitSeed: 's', batch: 3, inputs });
  const read = (bytesMax?: number): number[][] =>
    Array.from(data.batches({ data: paths, part: 'all', batch: 8, bytesMax }), (each) => rowsIn(each.inputs));
  assert.deepEqual(
    read().map(({ length }) => length),
    [8, 8, 4],
  );
  assert.deepEqual(
    read().flat(),
    Array.from({ length: rows }, (_, row) => row),
  );
  assert.deepEqual(read(9 * 16), [[0, 1, 2, 3, 4, 5, 6, 7], [8]]);
  assert.throws(() => data.source({ seed: 's', position: 0 }), { code: 'no-data' });
});

test('openArrays converts bytes and narrow integers to the type of the input', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'x.npy'), npyFile('|u1', [2, 2], Uint8Array.of(1, 2, 3, 255)));
  writeFileSync(join(folder, 'y.npy'), npyFile('<i4', [2], bytesOf(Int32Array.of(-5, 7))));
  const target = buffers(1);
  for (const { input, read } of openArrays(folder, inputs))
    read(1, (target[input] as Inputs[string]).data, 0);
  assert.deepEqual([target.x?.data, target.y?.data], [Float32Array.of(3, 255), BigInt64Array.of(7n)]);
});

test('openArrays rounds float64 to float32 as NumPy does', (t) => {
  const folder = temporaryFolder(t);
  const values = Float64Array.of(0.1, -1e-40, 16_777_217, 1 / 3);
  writeFileSync(join(folder, 'x.npy'), npyFile('<f8', [2, 2], new Uint8Array(values.buffer)));
  const read = new Float32Array(2);
  const [file] = openArrays(folder, inputs.slice(0, 1));
  file?.read(1, read, 0);
  assert.deepEqual(read, Float32Array.of(Math.fround(16_777_217), Math.fround(1 / 3)));
});

/** x is between −10 and 10; y always small enough. */
const rules: ValueRules = new Map([
  ['x', { expected: 'small ones', firstWrong: wrongFrom((value) => Math.abs(value) < 10) }],
  ['y', { expected: 'small ones', firstWrong: wrongFrom((value) => value < 100) }],
]);

test('readArrayData names file, input and row of a wrong value before the first step', (t) => {
  const folder = writeRows(temporaryFolder(t));
  const read = () => readArrayData({ paths: [folder], splitSeed: 's', batch: 3, inputs, rules });
  assert.throws(read, {
    code: 'bad-samples',
    message: /x\.npy: input x, row 10: expected small ones, got 10$/,
  });
});

test('readArrayData checks evaluated rows as they are read', (t) => {
  const folder = writeRows(temporaryFolder(t));
  const data = readArrayData({ paths: [], splitSeed: 's', batch: 3, inputs, rules });
  const batches = data.batches({ data: [folder], part: 'all', batch: 8, bytesMax: undefined });
  const seen: number[] = [];
  assert.throws(
    () => {
      for (const batch of batches) seen.push(...rowsIn(batch.inputs));
    },
    { code: 'bad-samples', message: /row 10/ },
  );
  assert.equal(seen.length, 8);
});

test('openArrays makes truth values of bytes', (t) => {
  const folder = temporaryFolder(t);
  const declared: readonly ValueInfo[] = ['a', 'b'].map((name) => ({ name, type: 'bool' }));
  writeFileSync(join(folder, 'a.npy'), npyFile('|u1', [1, 4], Uint8Array.of(0, 1, 2, 255)));
  writeFileSync(join(folder, 'b.npy'), npyFile('|b1', [1, 4], Uint8Array.of(0, 1, 0, 255)));
  const read = openArrays(folder, declared).map((file) => {
    const values = new Uint8Array(4);
    file.read(0, values, 0);
    return [...values];
  });
  assert.deepEqual(read, [
    [0, 1, 1, 1],
    [0, 1, 0, 1],
  ]);
});

test('openArrays refuses folders that are not those of the inputs', (t) => {
  const folder = temporaryFolder(t);
  const refuses = (expected: RegExp, code = 'bad-data-path', wanted = inputs): void => {
    assert.throws(() => openArrays(folder, wanted), { code, message: expected });
  };
  assert.throws(() => openArrays(join(folder, 'missing'), inputs), { code: 'bad-data-path' });
  refuses(/x\.npy: expected a \.npy file, found none/);
  writeRows(folder);
  const x = readFileSync(join(folder, 'x.npy'));
  const write = (bytes: Uint8Array): void => writeFileSync(join(folder, 'x.npy'), bytes);
  write(x.subarray(0, x.length - 1));
  refuses(/expected 288 bytes for float32 \[20,2\], got 287/);
  write(Buffer.concat([x, Buffer.of(0)]));
  refuses(/got 289/);
  write(Buffer.from('not an array'));
  refuses(/magic/);
  write(npyFile('<f4', [1, 2], bytesOf(Float32Array.of(1, 2))));
  refuses(/1 for x and 20 for y/);
  write(npyFile('<f4', [20, 0], new Uint8Array()));
  refuses(/expected values, got none: a dimension of \[20,0\] is 0/);
  write(npyFile('<f4', [0, 2 ** 40], new Uint8Array()));
  refuses(/expected values, got none/);
  write(x);
  writeFileSync(join(folder, 'y.npy'), npyFile('<f4', [1], bytesOf(Float32Array.of(1))));
  refuses(/an input of int64, got float32; the input takes int64, int32, uint8: .*\.astype\(np\.int64\)/);
  writeFileSync(join(folder, 'y.npy'), npyFile('<u2', [20], new Uint8Array(40)));
  refuses(/got "<u2"; the input takes int64, int32, uint8: .*\.astype\(np\.int64\)/);
  refuses(/no inputs/, 'bad-graph', []);
  refuses(/float64/, 'bad-graph', [{ name: 'x', type: 'float64' }]);
  const twins = ['a/b', 'a:b'].map((name): ValueInfo => ({ name, type: 'float32' }));
  refuses(/two for a_b\.npy/, 'bad-graph', twins);
});

test('arrayFileName never names a path', () => {
  for (const input of ['../../etc/passwd', '/x', 'a\\b', 'c:d', '..', 'x\0y'])
    assert.doesNotMatch(arrayFileName(input), /[/\\:\0]/);
});

test('readArrayData refuses several folders and too few rows', (t) => {
  const folder = writeRows(temporaryFolder(t));
  const read = (...paths: string[]) => readArrayData({ paths, splitSeed: 's', batch: 3, inputs });
  assert.throws(() => read(folder, folder), { code: 'bad-data-path' });
  writeFileSync(join(folder, 'x.npy'), npyFile('<f4', [1, 2], bytesOf(Float32Array.of(1, 2))));
  writeFileSync(join(folder, 'y.npy'), npyFile('<i8', [1], bytesOf(BigInt64Array.of(1n))));
  assert.throws(() => read(folder), { code: 'too-little-data' });
});

test('sizeInputs gives every symbol one size, and refuses shapes that differ', () => {
  const declared: readonly ValueInfo[] = [
    { name: 'a', type: 'float32', shape: ['n', 'side', 'side', 3] },
    { name: 'b', type: 'int64', shape: ['n', '?'] },
    { name: 'c', type: 'int64' },
  ];
  const samples = { a: [5, 5, 3], b: [7], c: [1, 2], unused: [9] };
  assert.deepEqual(sizeInputs(declared, 4, samples), {
    shapes: { a: [4, 5, 5, 3], b: [4, 7], c: [4, 1, 2] },
    sizes: { n: 4, side: 5 },
  });
  for (const changes of [{ a: [5, 6, 3] }, { a: [5, 5, 4] }, { a: [5, 5] }, { b: undefined }])
    assert.throws(() => sizeInputs(declared, 4, { ...samples, ...changes } as typeof samples), {
      code: 'bad-samples',
    });
});

test('createInput refuses sizes that no memory holds', () => {
  for (const shape of [[65_536, 65_536], [2 ** 40], [Number.NaN]])
    assert.throws(() => createInput('int64', shape), { code: 'bad-samples' });
});

test('Engine learns a classifier from arrays, measures its loss, and exports it', async (t) => {
  const folder = writeSamples(join(temporaryFolder(t), 'samples'), 800);
  const setting = settingOf(classifier({ dropout: 0.2 }), { data: { kind: 'arrays' }, batch: 16 });
  const engine = await startEngine(t, setting, { data: [folder] });
  await engine.open(genesis);
  const before = await engine.evaluate();
  assert.equal(before.bitsPerByte, undefined);
  assert.equal(before.bytes, 80 * 10);
  const { tokensPerSecond } = await engine.train({ steps: 600, round: 0 });
  assert.ok(tokensPerSecond > 0);
  const after = await engine.evaluate({ parameters: 'local' });
  assert.ok(before.loss > 0.9 && after.loss < 0.5, `${before.loss} → ${after.loss}`);
  assert.ok((await engine.evaluate({ parameters: 'local', part: 'all', data: [folder] })).loss < 0.5);
  assert.equal((await engine.encode({ base: genesis, baseHeight: 0 })).tokens, 600 * 16);
  await assert.rejects(engine.generate('a', { bytes: 1, temperature: 0, seed: '' }), {
    code: 'not-a-text-model',
  });
  const path = join(temporaryFolder(t), 'model.onnx');
  await engine.exportOnnx(path);
  const session = await InferenceSession.create(path);
  assert.deepEqual([session.inputNames, session.outputNames], [['pixels'], ['scores']]);
  const { scores } = await session.run({ pixels: new Tensor('float32', new Float32Array(6), [1, 6]) });
  assert.deepEqual(scores?.dims, [1, 3]);
});

test('Engine refuses arrays that do not fit the graph, and graphs that do not fit the run', async (t) => {
  const folder = writeSamples(join(temporaryFolder(t), 'samples'), 20);
  const arrays = settingOf(classifier(), { data: { kind: 'arrays' } });
  writeFileSync(join(folder, 'pixels.npy'), npyFile('|u1', [20, 5], new Uint8Array(100)));
  await assert.rejects(startEngine(t, arrays, { data: [folder] }), { code: 'bad-samples' });
  await assert.rejects(startEngine(t, settingOf(classifier()), { data: [] }), { code: 'bad-graph' });
});

test('Engine measures a graph of fixed size on the batches that fit, and says so when none does', async (t) => {
  const folder = temporaryFolder(t);
  const setting = settingOf(classifier({ rows: 4 }), { data: { kind: 'arrays' }, batch: 4 });
  const engine = await startEngine(t, setting, { data: [writeSamples(join(folder, 'many'), 100)] });
  await engine.open(genesis);
  assert.equal((await engine.evaluate()).bytes, 8 * 10);
  const few = writeSamples(join(folder, 'few'), 20);
  await assert.rejects(engine.evaluate({ data: [few] }), { code: 'bad-samples', message: /pixels \[4,6\]/ });
});
