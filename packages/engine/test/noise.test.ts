import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createNoise } from '../src/noise.ts';

const ones = (mask: Uint8Array): number => mask.reduce((sum, value) => sum + value, 0);

test('createNoise gives bytes that are 1 as often as asked for, and nothing but 0 and 1', () => {
  const keeps = [0.1, 0.5, 0.8, 0.9, 0.99];
  const noise = createNoise(
    keeps.map((keep) => ({ name: `${keep}`, shape: [100, 1_001], keep })),
    'seed',
  );
  noise.fill(1);
  for (const keep of keeps) {
    const mask = noise.masks[`${keep}`] as Uint8Array;
    assert.equal(mask.length, 100_100);
    assert.ok(mask.every((value) => value === 0 || value === 1));
    const deviation = Math.sqrt(mask.length * keep * (1 - keep));
    assert.ok(Math.abs(ones(mask) - mask.length * keep) < 5 * deviation, `${keep}: ${ones(mask)}`);
  }
});

test('createNoise gives neighbours, distant bytes, masks and counters that do not follow each other', () => {
  const inputs = ['a', 'b'].map((name) => ({ name, shape: [80_000], keep: 0.5 }));
  const noise = createNoise(inputs, 'seed');
  noise.fill(0);
  const [a, b] = [noise.masks.a?.slice(), noise.masks.b?.slice()] as [Uint8Array, Uint8Array];
  noise.fill(1);
  const next = noise.masks.a as Uint8Array;
  const equal = (left: Uint8Array, right: Uint8Array, shift: number): number => {
    let count = 0;
    for (let i = shift; i < left.length; i++) if (left[i - shift] === right[i]) count++;
    return count / (left.length - shift);
  };
  const shares = [
    ...[1, 2, 3, 4, 8, 16, 32, 64, 128].map((shift) => equal(a, a, shift)),
    ...[equal(a, b, 0), equal(a, next, 0)],
  ];
  for (const share of shares) assert.ok(Math.abs(share - 0.5) < 0.01, `${shares}`);
});

test('createNoise depends on seed and counter alone, whatever was drawn before', () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(), fc.integer({ min: 1, max: 200 }), (seed, counter, length) => {
      const inputs = [{ name: 'mask', shape: [length], keep: 0.7 }];
      const [one, two] = [createNoise(inputs, seed), createNoise(inputs, seed)];
      two.fill(counter + 1);
      one.fill(counter);
      two.fill(counter);
      assert.deepEqual(one.masks, two.masks);
    }),
  );
});

test('createNoise refuses probabilities that need no mask, and more bytes than a memory has', () => {
  for (const keep of [0, 1, -1, 2, Number.NaN])
    assert.throws(() => createNoise([{ name: 'm', shape: [4], keep }], 's'), { code: 'bad-graph' });
  for (const shape of [[2 ** 33], [Number.NaN]])
    assert.throws(() => createNoise([{ name: 'm', shape, keep: 0.5 }], 's'), { code: 'bad-graph' });
});
