import assert from 'node:assert/strict';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openCheckpoints } from '../src/checkpoint.ts';
import { block, temporaryFolder } from './setting.ts';

const run = block('run');
const contents = (value: number) => ({
  state: { value },
  arrays: [Float32Array.from({ length: 1_000 }, (_, i) => value + i), Uint32Array.of(value, 2 ** 32 - 1)],
});
const valueIn = (directory: string): unknown =>
  (openCheckpoints(directory, run).load()?.state as { value: number } | undefined)?.value;

test('load gives back the newest state that save wrote', async (t) => {
  const directory = temporaryFolder(t);
  const checkpoints = openCheckpoints(directory, run);
  assert.equal(checkpoints.load(), undefined);
  for (const value of [1, 2, 3]) checkpoints.save(contents(value));
  const loaded = openCheckpoints(directory, run).load();
  assert.ok(loaded);
  assert.deepEqual(loaded.state, { value: 3 });
  const [floats, words] = loaded.arrays as [ArrayBuffer, ArrayBuffer];
  assert.deepEqual(new Float32Array(floats), contents(3).arrays[0]);
  assert.deepEqual(new Uint32Array(words), contents(3).arrays[1]);
});

test('load falls back to the older file when the newer is torn or flipped, then to nothing', async (t) => {
  const directory = temporaryFolder(t);
  const checkpoints = openCheckpoints(directory, run);
  checkpoints.save(contents(1));
  checkpoints.save(contents(2));
  const [newer, older] = [join(directory, 'checkpoint-0'), join(directory, 'checkpoint-1')];
  const whole = readFileSync(newer);
  for (const length of [0, 5, 20, 100, whole.length - 1]) {
    truncateSync(newer, length);
    assert.equal(valueIn(directory), 1);
    writeFileSync(newer, whole);
  }
  assert.equal(valueIn(directory), 2);
  for (const position of [0, 9, 13, 30, 500, whole.length - 1]) {
    const flipped = Buffer.from(whole);
    flipped[position] = (flipped[position] as number) ^ 1;
    writeFileSync(newer, flipped);
    assert.equal(valueIn(directory), 1);
  }
  openCheckpoints(directory, run).save(contents(3));
  writeFileSync(older, 'rubbish');
  writeFileSync(newer, 'rubbish');
  assert.equal(valueIn(directory), undefined);
});

test('write can be read at once, and waits for the disk until somebody has', async (t) => {
  const directory = temporaryFolder(t);
  const checkpoints = openCheckpoints(directory, run);
  checkpoints.save(contents(1));
  const path = checkpoints.write(contents(2));
  assert.equal(valueIn(directory), 2);
  const whole = readFileSync(path);
  rmSync(path);
  assert.throws(() => checkpoints.write(contents(3)), { code: 'disk' });
  assert.equal(valueIn(directory), 1);
  writeFileSync(path, whole);
  assert.equal(checkpoints.write(contents(3)), join(directory, 'checkpoint-1'));
  checkpoints.flushed(path);
  rmSync(join(directory, 'checkpoint-1'));
  assert.throws(() => checkpoints.write(contents(4)), { code: 'disk' });
  checkpoints.flushed(join(directory, 'checkpoint-1'));
  assert.equal(checkpoints.write(contents(4)), path);
  assert.equal(valueIn(directory), 4);
});

test('save after a fallback leaves the whole file alone', async (t) => {
  const directory = temporaryFolder(t);
  const checkpoints = openCheckpoints(directory, run);
  checkpoints.save(contents(1));
  checkpoints.save(contents(2));
  truncateSync(join(directory, 'checkpoint-0'), 30);
  const reopened = openCheckpoints(directory, run);
  reopened.load();
  const before = readFileSync(join(directory, 'checkpoint-1'));
  reopened.save(contents(3));
  assert.deepEqual(readFileSync(join(directory, 'checkpoint-1')), before);
  assert.equal(valueIn(directory), 3);
});

test('load refuses a checkpoint of another run', async (t) => {
  const directory = temporaryFolder(t);
  openCheckpoints(directory, run).save(contents(1));
  assert.throws(() => openCheckpoints(directory, block('other')).load(), { code: 'foreign-checkpoint' });
});

test('load takes a damaged file of more than 2 GiB for absent, and the other one', (t) => {
  const directory = temporaryFolder(t);
  openCheckpoints(directory, run).save(contents(1));
  const large = join(directory, 'checkpoint-0');
  writeFileSync(large, readFileSync(join(directory, 'checkpoint-1')));
  truncateSync(large, 2 ** 31 + 4_096);
  assert.equal(valueIn(directory), 1);
});
