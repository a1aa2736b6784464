import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, encodeCbor, type PeerId } from '@murmuration/base';
import type { Contribution } from '@murmuration/protocol';
import fc from 'fast-check';
import { quorumOf } from '../src/roster.ts';
import { ageOf, executionOf, lowerMedian } from '../src/weights.ts';
import { createKey, createRun } from './harness.ts';

const members = [1, 2, 3].map((index) => createKey(index).peer);
const guest = createKey(9).peer;
const run = createRun(members);
const genesis = cidOf(encodeCbor('genesis'), 'dag-cbor');

let count = 0;
const contribution = (author: PeerId, norm: number, tokens: number, baseHeight = 4): Contribution => ({
  cid: cidOf(encodeCbor(count++), 'dag-cbor'),
  author,
  base: genesis,
  baseHeight,
  sequence: 1,
  blob: cidOf(encodeCbor(-count)),
  blobBytes: 10,
  norm,
  tokens,
  steps: 5,
  loss: 1,
});
const [a, b, c] = members as [PeerId, PeerId, PeerId];
const execute = (norms: readonly number[], ...contributions: Contribution[]) =>
  executionOf({ run, members, norms }, genesis, 5, contributions).inputs;

test('quorumOf is ⌊n/2⌋+1 in crash runs and ⌊2n/3⌋+1 in byzantine ones', () => {
  const sizes = [1, 2, 3, 4, 5, 6, 7];
  assert.deepEqual(
    sizes.map((size) => quorumOf('crash', size)),
    [1, 2, 2, 3, 3, 4, 4],
  );
  assert.deepEqual(
    sizes.map((size) => quorumOf('byzantine', size)),
    [1, 2, 3, 3, 4, 5, 5],
  );
});

test('lowerMedian takes the smaller of two middle values and nothing of nothing', () => {
  assert.equal(lowerMedian([4, 1, 3, 2]), 2);
  assert.equal(lowerMedian([3, 1, 2]), 2);
  assert.equal(lowerMedian([]), undefined);
});

test('executionOf clips to the lower median of the members when it is below twice the certified one', () => {
  const inputs = execute([2], contribution(a, 1, 10), contribution(b, 3, 10), contribution(c, 12, 10));
  assert.deepEqual(
    inputs.map(({ clip }) => clip),
    [1, 1, 0.25],
  );
});

test('executionOf clips to twice the certified lower median when members are above it', () => {
  const inputs = execute([1, 1, 9], contribution(a, 4, 10), contribution(b, 8, 10), contribution(c, 16, 10));
  assert.deepEqual(
    inputs.map(({ clip }) => clip),
    [0.5, 0.25, 0.125],
  );
});

test('executionOf gives a guest no say in the clip', () => {
  const inputs = execute([], contribution(a, 2, 10), contribution(guest, 1_000, 10));
  assert.deepEqual(
    inputs.map(({ clip }) => clip),
    [1, 0.002],
  );
});

test('executionOf caps declared tokens at twice the lower median and divides by one plus the age', () => {
  const inputs = execute(
    [],
    contribution(a, 1, 100),
    contribution(b, 1, 100, 2),
    contribution(c, 1, 1_000_000, 4),
  );
  assert.deepEqual(
    inputs.map(({ weight }) => weight),
    [100, 100 / 3, 200],
  );
  assert.equal(ageOf(contribution(a, 1, 1, 4), 5), 0);
});

test('executionOf lets guests together weigh at most their share of the members', () => {
  const inputs = execute(
    [],
    contribution(a, 1, 100),
    contribution(guest, 1, 100),
    contribution(createKey(10).peer, 1, 100),
  );
  assert.deepEqual(
    inputs.map(({ weight }) => weight),
    [100, 12.5, 12.5],
  );
});

test('executionOf gives clips in (0, 1] and positive weights for every block that is valid', () => {
  const norm = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
  const tokens = fc.integer({ min: 1, max: 2 ** 31 });
  fc.assert(
    fc.property(
      fc.array(norm, { maxLength: 16 }),
      fc.array(fc.tuple(norm, tokens), { minLength: 1, maxLength: 8 }),
      (norms, drafts) => {
        const inputs = execute(
          norms,
          ...drafts.map(([n, t], index) => contribution(index === 0 ? a : createKey(20 + index).peer, n, t)),
        );
        assert.ok(
          inputs.every(({ clip, weight }) => clip > 0 && clip <= 1 && weight > 0 && Number.isFinite(weight)),
        );
        const guests = inputs.slice(1).reduce((sum, { weight }) => sum + weight, 0);
        assert.ok(guests <= 0.25 * (inputs[0]?.weight ?? 0) * (1 + 1e-12));
      },
    ),
    { numRuns: 50 },
  );
});
