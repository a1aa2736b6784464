import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withCheckedTargets } from '../src/check-targets.ts';
import { EngineError } from '../src/errors.ts';
import type { Inputs, RunData } from '../src/samples.ts';

const valuesOf = (targets: readonly number[]): BigInt64Array => BigInt64Array.from(targets, BigInt);
const inputsOf = (data: BigInt64Array): Inputs => ({
  targets: { type: 'int64', shape: [data.length], data },
});

/** Samples whose targets are these. */
const dataOf = (targets: readonly number[]): RunData => ({
  sampleShapes: { targets: [] },
  source: () => ({
    position: 7,
    fill({ targets: into }) {
      if (into) (into.data as BigInt64Array).set(valuesOf(targets));
    },
  }),
  batches: () => [{ inputs: inputsOf(valuesOf(targets)), weight: targets.length, bytes: 0 }],
});

const request = { data: undefined, part: 'all', batch: 4, bytesMax: undefined } as const;
const into = (length: number): Inputs => inputsOf(new BigInt64Array(length));

function givenBy(targets: readonly number[], ignore?: number): void {
  const classes = { count: 4, ...(ignore !== undefined && { ignore }) };
  const data = withCheckedTargets(dataOf(targets), classes);
  const source = data.source({ seed: '', position: 0 });
  assert.equal(source.position, 7);
  source.fill(into(targets.length));
  assert.equal([...data.batches(request)].length, 1);
}

test('withCheckedTargets passes classes on, and the target that does not count', () => {
  givenBy([0, 3, 1]);
  givenBy([0, -100, 3], -100);
});

for (const targets of [[0, -1], [4], [1, 2, -100]])
  test(`withCheckedTargets refuses [${targets}] of 4 classes, in training and in evaluation`, () => {
    const data = withCheckedTargets(dataOf(targets), { count: 4 });
    const refuses = (read: () => unknown): void =>
      assert.throws(read, (error: unknown) => error instanceof EngineError && error.code === 'bad-samples');
    refuses(() => data.source({ seed: '', position: 0 }).fill(into(targets.length)));
    refuses(() => [...data.batches(request)]);
  });
