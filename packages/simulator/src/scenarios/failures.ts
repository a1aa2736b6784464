/** Processes that die, pause and come back. */
import type { Plan } from '../plan.ts';
import { calm, type Fault } from '../scenario.ts';

const usual = { sample: 15, nightly: 220 };

const restart = (peer: number, fromMs: number, untilMs: number): Fault => ({
  kind: 'away',
  peer,
  fromMs,
  untilMs,
});

export const failures: readonly Plan[] = [
  {
    name: 'dead-proposer',
    about: 'one of four vanishes for good',
    scenario: { ...calm, loss: 0.02, faults: [{ kind: 'away', peer: 1, fromMs: 1_500 }] },
    seeds: usual,
    exercises: ['apply', 'report skipped'],
    commitMsMax: { median: 3_500, mean: 2_500 },
  },
  {
    name: 'two-dead-of-seven',
    about: 'a byzantine quorum with a third minus one dead',
    scenario: {
      ...calm,
      members: 7,
      quorum: 'byzantine',
      loss: 0.05,
      rounds: 5,
      faults: [
        { kind: 'away', peer: 2, fromMs: 1_000 },
        { kind: 'away', peer: 3, fromMs: 1_000 },
      ],
    },
    seeds: { sample: 8, nightly: 200 },
    exercises: ['apply'],
    commitMsMax: { median: 7_000, mean: 10_000 },
  },
  {
    name: 'away',
    about: 'a peer sleeps for some rounds and catches up',
    scenario: { ...calm, loss: 0.05, rounds: 12, faults: [restart(1, 1_500, 7_000)] },
    seeds: usual,
    exercises: ['sync'],
  },
  {
    name: 'long-away',
    about: 'a peer sleeps so long that it takes a snapshot',
    scenario: { ...calm, rounds: 45, snapshotEvery: 5, faults: [restart(2, 2_000, 30_000)] },
    seeds: { sample: 4, nightly: 120 },
    exercises: ['sync', 'install'],
  },
  {
    name: 'all-restart',
    about: 'everybody is killed at about the same time and restarted',
    scenario: {
      ...calm,
      loss: 0.02,
      faults: [
        restart(0, 2_000, 3_000),
        restart(1, 2_100, 3_500),
        restart(2, 2_200, 3_300),
        restart(3, 1_900, 4_000),
      ],
    },
    seeds: usual,
    exercises: ['apply'],
  },
  {
    name: 'crashes',
    about: 'everybody dies again and again between two effects',
    scenario: {
      ...calm,
      rounds: 8,
      loss: 0.02,
      faults: [
        {
          kind: 'crashes',
          peers: [0, 1, 2, 3],
          everyEffects: [20, 160],
          times: 6,
          down: [100, 1_500],
        },
      ],
    },
    seeds: usual,
    exercises: ['apply', 'sync'],
  },
  {
    name: 'slow-crashes',
    about: 'the same where messages are slow and lost',
    scenario: {
      ...calm,
      members: 5,
      latency: [50, 900],
      loss: 0.1,
      faults: [
        { kind: 'crashes', peers: [0, 1, 2, 3, 4], everyEffects: [15, 200], times: 5, down: [50, 3_000] },
      ],
    },
    seeds: usual,
    exercises: ['apply', 'undo'],
  },
  {
    name: 'crash-storm',
    about: 'everybody dies every few effects where messages are slow and lost',
    scenario: {
      ...calm,
      latency: [50, 900],
      loss: 0.1,
      faults: [{ kind: 'crashes', peers: [0, 1, 2, 3], everyEffects: [5, 80], times: 18, down: [50, 2_000] }],
    },
    seeds: usual,
    exercises: ['apply', 'sync'],
  },
  {
    name: 'closed-lids',
    about: 'laptops stand still for seconds and find everything late',
    scenario: {
      ...calm,
      members: 5,
      rounds: 10,
      faults: [
        { kind: 'pause', peer: 0, fromMs: 1_200, untilMs: 6_000 },
        { kind: 'pause', peer: 3, fromMs: 4_000, untilMs: 9_000 },
        { kind: 'pause', peer: 1, fromMs: 8_000, untilMs: 8_700 },
      ],
    },
    seeds: usual,
    exercises: ['apply'],
  },
  {
    name: 'old-backup',
    about: 'a peer starts again from a copy of its disk that is seconds old',
    scenario: {
      ...calm,
      rounds: 10,
      latency: [20, 400],
      faults: [{ kind: 'restore', peer: 1, copyMs: 1_500, fromMs: 3_000, untilMs: 3_600 }],
    },
    seeds: usual,
    exercises: ['apply'],
  },
  {
    name: 'unnoticed-backup',
    about: 'the same, and only the replica itself can find out that it has forgotten',
    scenario: {
      ...calm,
      rounds: 14,
      latency: [20, 400],
      faults: [
        { kind: 'restore', peer: 1, copyMs: 1_500, fromMs: 3_000, untilMs: 3_600, unnoticed: true },
        { kind: 'restore', peer: 3, copyMs: 5_000, fromMs: 9_000, untilMs: 9_300, unnoticed: true },
      ],
    },
    seeds: { sample: 10, nightly: 150 },
    exercises: ['apply', 'report forgotten'],
    convicts: [],
  },
  {
    name: 'unnoticed-restart',
    about: 'four are put back by a second and back at once, and messages are slow',
    scenario: {
      ...calm,
      rounds: 14,
      latency: [50, 700],
      faults: [1, 3, 0, 2].map((peer, index) => ({
        kind: 'restore',
        peer,
        copyMs: 1_800 + 9_000 * index,
        fromMs: 3_000 + 9_000 * index,
        untilMs: 3_050 + 9_000 * index,
        unnoticed: true,
      })),
    },
    seeds: { sample: 10, nightly: 150 },
    exercises: ['apply', 'report forgotten'],
    convicts: [],
  },
  {
    name: 'backup-across-epochs',
    about: 'slow members are put back, unnoticed, to what they were epochs ago',
    scenario: {
      ...calm,
      rounds: 16,
      latency: [50, 250],
      loss: 0.03,
      guests: [500, 2_500, 4_500].map((atMs) => ({ atMs })),
      traits: { 1: { slowMs: 550 }, 3: { slowMs: 550 } },
      faults: [1, 3].map((peer, index) => ({
        kind: 'restore',
        peer,
        copyMs: 1_500,
        fromMs: 11_000 + 9_000 * index,
        untilMs: 11_050 + 9_000 * index,
        unnoticed: true,
      })),
    },
    seeds: { sample: 5, nightly: 150 },
    exercises: ['sync', 'report admitted', 'report forgotten'],
    convicts: [],
  },
  {
    name: 'flipped-bit',
    about: "a bit of one engine's parameters turns over; it takes a state anew",
    scenario: {
      ...calm,
      rounds: 14,
      snapshotEvery: 4,
      faults: [{ kind: 'bit-flip', peer: 2, atMs: 4_000 }],
    },
    seeds: usual,
    exercises: ['report diverged', 'install'],
  },
];
