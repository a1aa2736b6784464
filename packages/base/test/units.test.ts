import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GiB, hour, KiB, MiB, minute, second } from '@murmuration/base';

test('units count milliseconds and bytes', () => {
  assert.deepEqual([second, minute, hour], [1_000, 60_000, 3_600_000]);
  assert.deepEqual([KiB, MiB, GiB], [2 ** 10, 2 ** 20, 2 ** 30]);
});
