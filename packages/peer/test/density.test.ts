import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleRun, parseRunConfig } from '@murmuration/base';
import { deltaBytesMax } from '@murmuration/delta';
import fc from 'fast-check';
import { chooseK, Density } from '../src/density.ts';

const parameters = 10_000_000;
const { delta, initial } = parseRunConfig({
  ...exampleRun,
  delta: { ...exampleRun.delta, k: 256, kMin: 16 },
  initial: { ...exampleRun.initial, parameters },
});
const run = { delta, initial };
const bytesOf = (k: number): number => deltaBytesMax(parameters, { k, bits: 1 });
/** Half of this training is one second. */
const trainingMs = 2_000;

test('chooseK takes the largest k that goes up the line in half of a round, within the bounds', () => {
  const k = fc.integer({ min: 16, max: 256 });
  fc.assert(
    fc.property(
      k,
      fc.double({ min: 1, max: 1e8, noNaN: true }),
      fc.integer({ min: 1, max: 9 }),
      (current, bytesPerSecond, copies) => {
        const chosen = chooseK(run, current, { bytesPerSecond, copies, trainingMs });
        assert.ok(chosen >= 16 && chosen <= 256);
        assert.ok(chosen === 16 || bytesOf(chosen) * copies <= bytesPerSecond);
        if (chosen > current) assert.ok(chosen === 256 || chosen >= 1.5 * current);
        if (chosen < 256 && chosen !== current) assert.ok(bytesOf(chosen + 1) * copies > bytesPerSecond);
      },
    ),
  );
});

test('chooseK changes nothing where nothing is known', () => {
  for (const pace of [
    { bytesPerSecond: undefined, copies: 1, trainingMs },
    { bytesPerSecond: 1, copies: 1, trainingMs: undefined },
  ])
    assert.equal(chooseK(run, 100, pace), 100);
});

test('chooseK stays where a line that wavers by a tenth has brought it', () => {
  const line = (bytesPerSecond: number) => ({ bytesPerSecond, copies: 1, trainingMs });
  const steady = bytesOf(100);
  let k = chooseK(run, 256, line(steady * 0.9));
  assert.ok(k >= 85 && k < 100, `${k}`);
  const first = k;
  for (const factor of [1.1, 0.95, 1, 1.08, 0.9]) {
    k = chooseK(run, k, line(steady * factor));
    assert.equal(k, first);
  }
  assert.equal(chooseK(run, k, line(bytesOf(256))), 256);
});

test('chooseK gives a round that is shorter than a second the time of one', () => {
  const pace = { bytesPerSecond: 2 * bytesOf(256), copies: 1 };
  assert.equal(chooseK(run, 256, { ...pace, trainingMs: 100 }), 256);
  assert.ok(chooseK(run, 256, { ...pace, bytesPerSecond: bytesOf(256), trainingMs: 100 }) < 200);
});

test('Density counts the copies that were pulled, at most one for each peer', () => {
  const copiesFor = (servedBytes: number, peers: number): number => {
    const density = new Density(run);
    const rate = 4 * bytesOf(64);
    density.next({ bytesPerSecond: undefined, servedBytes: 0 }, peers, trainingMs);
    density.note(50_000);
    return density.next({ bytesPerSecond: rate, servedBytes }, peers, trainingMs);
  };
  assert.equal(copiesFor(200_000, 8), 64);
  assert.equal(copiesFor(20_000_000, 4), 64);
  assert.equal(copiesFor(0, 8), 256);
  assert.ok(copiesFor(400_000, 8) < 64);
});
