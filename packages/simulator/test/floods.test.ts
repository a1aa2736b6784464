import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Outcome } from '@murmuration/simulator';
import { floodScenario, floods, most, roundMs, rounds } from '../bench/floods.ts';
import { expectSound } from './expect-sound.ts';

const seeds = 2;

const run = (lie: Parameters<typeof floodScenario>[0]): Outcome[] =>
  Array.from({ length: seeds }, (_, seed) => expectSound(floodScenario(lie, seed)));
const { none, ...loud } = floods;
assert.ok(none);
const quiet = run(none);

for (const [about, lie] of Object.entries(loud))
  test(`simulate closes rounds in time while free identities ${about} (G6)`, () => {
    const flooded = run(lie);
    const slower = roundMs(flooded) / roundMs(quiet);
    assert.ok(slower < 1.1, `rounds take ${slower.toFixed(2)} times as long`);
    const seconds = Math.max(...flooded.map(({ elapsedMs }) => elapsedMs)) / 1_000;
    const checksMax = most(quiet, 'checks') + 256 + 16 * seconds;
    assert.ok(most(flooded, 'checks') <= checksMax, `${most(flooded, 'checks')} of ${checksMax} checks`);
    const strangersMax = 26 * 400 * rounds;
    const pulled = most(flooded, 'pulledBytes') - most(quiet, 'pulledBytes');
    assert.ok(pulled <= strangersMax, `${pulled} of ${strangersMax} bytes`);
  });
