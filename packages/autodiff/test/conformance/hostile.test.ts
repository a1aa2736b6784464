import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import { checkModel, OnnxError, readModel, simplifyModel, writeModel } from '@murmuration/onnx';
import { casesByOperator } from './cases.ts';
import { caseKey } from './exceptions.ts';

const variants = 12;

/** The bytes of a model with some of them changed, left out, or doubled. */
function damaged(bytes: Uint8Array, seed: string): Uint8Array {
  const random = createRandom(seed);
  const at = random.below(bytes.length);
  const list = [...bytes];
  const kind = random.below(4);
  if (kind === 0) list.length = at;
  else if (kind === 1) list.splice(at, 1 + random.below(4));
  else if (kind === 2) list.splice(at, 0, ...bytes.subarray(at, at + random.below(16)));
  else
    for (let count = 1 + random.below(3); count > 0; count--)
      list[random.below(list.length)] = random.below(256);
  return Uint8Array.from(list);
}

for (const [operator, cases] of casesByOperator())
  test(`reading, checking and simplifying a damaged ${operator} ends in a model or an OnnxError`, () => {
    for (const stored of cases.slice(0, 20))
      for (let variant = 0; variant < variants; variant++) {
        const seed = `${caseKey(stored)} ${variant}`;
        try {
          const model = readModel(damaged(stored.model, seed));
          checkModel(model);
          readModel(writeModel(simplifyModel(model)));
        } catch (error) {
          assert.ok(error instanceof OnnxError, `${seed}: ${(error as Error).stack}`);
        }
      }
  });
