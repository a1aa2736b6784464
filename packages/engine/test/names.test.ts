import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesOf, nameVector, readVector } from '../src/names.ts';
import { temporaryFolder } from './setting.ts';

const values = Float32Array.of(1, -2, 3);
const { cid } = nameVector(values);

test('readVector reads the values of that name', (t) => {
  const path = join(temporaryFolder(t), 'vector');
  writeFileSync(path, bytesOf(values));
  assert.deepEqual(readVector(path, 3, cid), values);
});

test('readVector refuses other bytes and lengths, however absurd, before it makes room for them', (t) => {
  const path = join(temporaryFolder(t), 'vector');
  writeFileSync(path, bytesOf(values));
  for (const length of [2, 4, 2 ** 50])
    assert.throws(() => readVector(path, length, cid), { code: 'bad-snapshot' });
  assert.throws(() => readVector(path, 3, nameVector(Float32Array.of(1, 2, 3)).cid), {
    code: 'bad-snapshot',
  });
  assert.throws(() => readVector(`${path}.missing`, 3, cid), { code: 'disk' });
});
