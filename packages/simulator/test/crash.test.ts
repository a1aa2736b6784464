import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calm, type Scenario } from '@murmuration/simulator';
import { expectSound } from './expect-sound.ts';

/**
 * Kills a peer after each of its effects in turn, restarts it, and expects the run to end as if nothing had happened.
 */
function crashEverywhere(scenario: Scenario, peer: number, every = 1): number {
  const { effects } = expectSound(scenario).peers[peer] ?? { effects: 0 };
  let crashes = 0;
  for (let effect = 1; effect <= effects; effect += every) {
    expectSound({ ...scenario, faults: [{ kind: 'crash', peer, effect, downMs: 300 }] });
    crashes++;
  }
  return crashes;
}

test('simulate survives a crash after every effect of the first proposer (G8)', () => {
  assert.ok(crashEverywhere({ ...calm, seed: 'crash', rounds: 2 }, 0) > 80);
});

test('simulate survives a crash after every effect of a peer that is alone (G8)', () => {
  assert.ok(crashEverywhere({ ...calm, seed: 'alone', members: 1, rounds: 3 }, 0) > 50);
});

test('simulate survives crashes in a slow and lossy network (G8)', () => {
  const scenario = { ...calm, seed: 'slow crash', rounds: 4, loss: 0.1, latency: [50, 900] as const };
  assert.ok(crashEverywhere(scenario, 1, 6) > 25);
});

test('simulate survives crashes of a peer that then wakes up alone (G8)', () => {
  const scenario = { ...calm, seed: 'alone after crash', members: 3, rounds: 2 };
  const { effects } = expectSound(scenario).peers[1] ?? { effects: 0 };
  for (let effect = 1; effect <= effects; effect += 2)
    expectSound({
      ...scenario,
      faults: [{ kind: 'crash', peer: 1, effect, downMs: 300, aloneMs: 16_000 }],
    });
  assert.ok(effects > 50);
});

test('simulate counts the work of a peer once that slept while a block took it and then installs (G4)', () => {
  const scenario = { ...calm, seed: 'x', rounds: 45, snapshotEvery: 5 };
  let installs = 0;
  for (let effect = 22; effect <= 78; effect += 14) {
    const { performed } = expectSound({
      ...scenario,
      faults: [{ kind: 'crash', peer: 2, effect, downMs: 27_000 }],
    });
    installs += performed.install ?? 0;
  }
  assert.ok(installs > 0, 'nobody installed a state');
});

test('simulate survives crashes of a guest while it is admitted (G8)', () => {
  const scenario = { ...calm, seed: 'guest crash', rounds: 5, guests: [{ atMs: 500 }] };
  assert.ok(crashEverywhere(scenario, 4, 6) > 20);
});
