import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readModelFile } from '@murmuration/engine';
import { temporaryFolder } from './setting.ts';

/** A ModelProto whose only weight lies in the file `weights` beside it; written by hand, field by field. */
function modelWithExternalWeight(): Uint8Array {
  const field = (number: number, bytes: readonly number[]): number[] => [
    number * 8 + 2,
    bytes.length,
    ...bytes,
  ];
  const text = (number: number, value: string): number[] => field(number, [...Buffer.from(value)]);
  const location = field(13, [...text(1, 'location'), ...text(2, 'weights')]);
  const weight = [1 * 8, 2, 2 * 8, 1, ...text(8, 'w'), ...location, 14 * 8, 1];
  return Uint8Array.from([1 * 8, 8, ...field(7, field(5, weight)), ...field(8, [2 * 8, 17])]);
}

test('readModelFile reads weights beside the file, and refuses a pipe instead of waiting for it', (context) => {
  const folder = temporaryFolder(context);
  const path = join(folder, 'model.onnx');
  const weights = join(folder, 'weights');
  writeFileSync(path, modelWithExternalWeight());
  writeFileSync(weights, new Uint8Array(Float32Array.of(1, 2).buffer));
  const [weight] = readModelFile(path).graph.initializers;
  assert.deepEqual([...(weight?.data ?? [])], [1, 2]);
  execFileSync('rm', [weights]);
  execFileSync('mkfifo', [weights]);
  assert.throws(() => readModelFile(path), { name: 'EngineError', code: 'bad-graph' });
});
