/** Networks that fall apart and come together again. */
import type { Plan } from '../plan.ts';
import { calm, type Fault } from '../scenario.ts';

const usual = { sample: 15, nightly: 220 };

const cut = (side: readonly number[], fromMs: number, untilMs: number): Fault => ({
  kind: 'partition',
  side,
  fromMs,
  untilMs,
});

export const partitions: readonly Plan[] = [
  {
    name: 'halves',
    about: 'no side has a quorum until the network heals',
    scenario: { ...calm, loss: 0.02, faults: [cut([0, 1], 1_500, 7_000)] },
    seeds: usual,
    exercises: ['apply'],
  },
  {
    name: 'minority',
    about: 'two of five are cut off while the others go on',
    scenario: { ...calm, members: 5, rounds: 12, loss: 0.02, faults: [cut([1, 3], 1_500, 7_000)] },
    seeds: usual,
    exercises: ['apply', 'sync'],
  },
  {
    name: 'one-way',
    about: 'a peer hears everybody and nobody hears it',
    scenario: {
      ...calm,
      rounds: 10,
      faults: [{ kind: 'partition', side: [2], fromMs: 1_500, untilMs: 7_000, oneWay: true }],
    },
    seeds: usual,
    exercises: ['apply'],
  },
  {
    name: 'crossing-cuts',
    about: 'several partitions at once, one of them one way, that end at different times',
    scenario: {
      ...calm,
      members: 7,
      rounds: 8,
      loss: 0.02,
      faults: [
        cut([0, 1], 1_500, 6_000),
        cut([1, 2, 3], 2_500, 7_500),
        { kind: 'partition', side: [5], fromMs: 2_000, untilMs: 9_000, oneWay: true },
      ],
    },
    seeds: { sample: 8, nightly: 200 },
    exercises: ['apply'],
  },
  {
    name: 'flapping',
    about: 'the network is cut and joined every second',
    scenario: {
      ...calm,
      members: 5,
      rounds: 8,
      faults: [0, 1, 2, 3, 4, 5].map((turn) =>
        cut([turn % 5, (turn + 2) % 5], 1_000 + 2_000 * turn, 2_200 + 2_000 * turn),
      ),
    },
    seeds: usual,
    exercises: ['apply'],
  },
  {
    name: 'lost-minority',
    about: 'one of four is cut off for ever; the others end the run',
    scenario: {
      ...calm,
      faults: [{ kind: 'partition', side: [3], fromMs: 1_500 }],
      excused: [3],
    },
    seeds: usual,
    exercises: ['apply', 'report skipped'],
  },
  {
    name: 'cut-from-the-dead',
    about: 'two of three go on above a block of the third, which is gone',
    scenario: {
      ...calm,
      members: 3,
      rounds: 8,
      latency: [50, 200],
      loss: 0.03,
      faults: [cut([2], 4_400, 8_400), { kind: 'away', peer: 0, fromMs: 4_900 }],
      excused: [0],
    },
    seeds: usual,
    exercises: ['apply', 'report skipped'],
  },
  {
    name: 'forgotten-proposal',
    about: 'two of three go on above a block of the third; who has it restarts',
    scenario: {
      ...calm,
      members: 3,
      rounds: 8,
      latency: [50, 200],
      faults: [
        cut([2], 4_400, 8_400),
        { kind: 'away', peer: 0, fromMs: 4_900 },
        { kind: 'away', peer: 1, fromMs: 6_000, untilMs: 6_300 },
      ],
      excused: [0],
    },
    seeds: usual,
    exercises: ['apply', 'report skipped'],
  },
  {
    name: 'cut-from-dead-of-four',
    about: 'three of four go on above a block of the fourth, which is gone',
    scenario: {
      ...calm,
      quorum: 'byzantine',
      rounds: 8,
      latency: [50, 200],
      loss: 0.03,
      faults: [cut([3], 4_250, 8_250), { kind: 'away', peer: 2, fromMs: 4_550 }],
      excused: [2],
    },
    seeds: usual,
    exercises: ['apply', 'report skipped'],
  },
  {
    name: 'cut-and-crashes',
    about: 'a partition during which both sides crash',
    scenario: {
      ...calm,
      members: 5,
      rounds: 8,
      loss: 0.02,
      faults: [
        cut([0, 4], 1_500, 6_000),
        { kind: 'crashes', peers: [0, 2], everyEffects: [30, 150], times: 4, down: [200, 1_500] },
      ],
    },
    seeds: usual,
    exercises: ['apply', 'sync'],
  },
];
