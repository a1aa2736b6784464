import { test } from 'node:test';
import { calm, type Scenario } from '@murmuration/simulator';
import { expectSound } from './expect-sound.ts';

const membership = { votersMax: 64, earnedAfter: 0, silentAfter: 0, stallMs: 30_000 };
const halves: Scenario = {
  ...calm,
  members: 6,
  training: [3_000, 6_000],
  settings: { membership },
  limitMs: 3_600_000,
};

/** A partition during which everybody dies so many times. */
const crashing = (times: number): Scenario => ({
  ...halves,
  rounds: 30,
  training: [4_000, 8_000],
  loss: 0.02,
  faults: [
    { kind: 'partition', side: [0, 1, 2], fromMs: 15_000, untilMs: 150_000 },
    { kind: 'crashes', peers: [0, 1, 2, 3, 4, 5], everyEffects: [100, 1_000], times, down: [200, 20_000] },
  ],
});

test('own work of a given-up block that a regular one takes leaves θ_local again: two-recoveries 0 (G4)', () => {
  expectSound({
    ...halves,
    seed: 'two-recoveries 0',
    rounds: 29,
    faults: [{ kind: 'partition', side: [0, 1, 2], fromMs: 15_000, untilMs: 56_250 }],
  });
});

test('who dies while it settles an adoption remembers its votes after it: recovery-crashes 2 (G8)', () => {
  expectSound({
    ...halves,
    seed: 'recovery-crashes 2',
    rounds: 45,
    loss: 0.02,
    faults: [
      { kind: 'partition', side: [0, 1, 2], fromMs: 15_000, untilMs: 180_000 },
      {
        kind: 'crashes',
        peers: [0, 1, 2, 3, 4, 5],
        everyEffects: [200, 1_500],
        times: 8,
        down: [200, 20_000],
      },
    ],
  });
});

test('who dies while it leaves a recovery takes its blocks back before it rewinds: recovery-crashes 1 (G2)', () => {
  expectSound({
    ...crashing(4),
    seed: 'recovery-crashes 1',
  });
});

test('who dies while it gives a recovery up takes its own work out of θ_local all the same: recovery-crashes 105 (G4)', () => {
  expectSound({
    ...crashing(3),
    seed: 'recovery-crashes 105',
  });
});

test('expired own work in blocks that a snapshot would skip leaves θ_local by replaying them: 4 (G4)', () => {
  expectSound({
    ...halves,
    seed: '4',
    members: 5,
    rounds: 90,
    loss: 0.3,
    training: [4_000, 8_000],
    faults: [{ kind: 'partition', side: [0, 1], fromMs: 300_000, untilMs: 480_000 }],
  });
});

test('a delta that a restored peer announces again leaves its parameters by either name: old-backup 24 (G4)', () => {
  expectSound({
    ...calm,
    seed: 'old-backup 24',
    rounds: 2,
    latency: [20, 400],
    faults: [{ kind: 'restore', peer: 1, copyMs: 1_500, fromMs: 3_000, untilMs: 3_150 }],
  });
});

for (const seed of [33, 103])
  test(`only what a backup had and its peer has forgotten is there twice: unnoticed-restart ${seed} (G4)`, () => {
    expectSound({
      ...calm,
      seed: `unnoticed-restart ${seed}`,
      rounds: 3,
      latency: [50, 700],
      faults: [
        { kind: 'restore', peer: 1, copyMs: 1_800, fromMs: 3_000, untilMs: 3_050, unnoticed: true },
        { kind: 'restore', peer: 3, copyMs: 7_800, fromMs: 9_000, untilMs: 9_050, unnoticed: true },
      ],
    });
  });
