import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calm, simulate } from '@murmuration/simulator';
import { expectSound } from './expect-sound.ts';
import { plans } from './scenarios.ts';

for (const { name, scenario, seeds, exercises, membersAtEnd } of plans)
  test(`simulate keeps G1, G2, G3, G4, G7, G8 with ${name}`, () => {
    const performed = new Set<string>();
    for (let index = 0; index < seeds; index++) {
      const outcome = expectSound({ ...scenario, seed: `${name} ${index}` });
      for (const kind of Object.keys(outcome.performed)) performed.add(kind);
      const remaining = outcome.peers.filter(({ phase }) => phase === 'ended');
      assert.equal(new Set(remaining.map(({ stateRoot }) => stateRoot)).size, 1);
      if (membersAtEnd) assert.equal(outcome.members, membersAtEnd, `seed ${index}`);
    }
    for (const kind of exercises) assert.ok(performed.has(kind), `no ${kind} in any of ${seeds} seeds`);
  });

test('simulate gives equal outcomes for equal scenarios', () => {
  const scenario = { ...calm, seed: 'twice', loss: 0.1, rounds: 4 };
  assert.deepEqual(simulate(scenario), simulate(scenario));
});

test('simulate gives a slow member its turn again after it was away (G3)', () => {
  const scenario = { ...calm, seed: 'slow', rounds: 40, slowMs: { 3: 120 } };
  const faults = [{ kind: 'partition' as const, side: [3], fromMs: 4_000, untilMs: 9_000 }];
  const { skippedViews } = expectSound({ ...scenario, faults });
  assert.ok(skippedViews <= 3, `${skippedViews} views were skipped`);
});

test('simulate closes a calm round within a second of virtual time and one message per statement kind', () => {
  const { elapsedMs, peers, skippedViews } = expectSound({ ...calm, seed: 'speed', rounds: 10 });
  assert.ok(elapsedMs < 10 * 1_000, `${elapsedMs} ms for ten rounds`);
  assert.equal(skippedViews, 0);
  for (const { published } of peers) assert.ok(published <= 10 * 5, `${published} messages`);
});
