/** Epochs that lose their quorum: survivors go on provisionally, or founders reopen the run. */
import type { Plan } from '../plan.ts';
import { calm, type Fault, type Scenario } from '../scenario.ts';

const usual = { sample: 2, nightly: 60 };
const rare = { sample: 1, nightly: 60 };

/** Who is away is gone for minutes here, so rounds take seconds. */
const patient: Scenario = {
  ...calm,
  members: 5,
  rounds: 30,
  training: [4_000, 8_000],
  limitMs: 3_600_000,
  settings: { membership: { votersMax: 64, earnedAfter: 0, silentAfter: 0, stallMs: 30_000 } },
};

const minute = 60_000;

const away = (peers: readonly number[], fromMs: number, untilMs: number): Fault[] =>
  peers.map((peer) => ({ kind: 'away', peer, fromMs, untilMs }));

const cut = (side: readonly number[], fromMs: number, untilMs: number): Fault => ({
  kind: 'partition',
  side,
  fromMs,
  untilMs,
});

/** The peers come back with all that they had, and a new vote key: their folders are copies. */
const restored = (peers: readonly number[], atMs: number): Fault[] =>
  peers.map((peer) => ({ kind: 'restore', peer, copyMs: atMs, fromMs: atMs, untilMs: atMs + 600 }));

export const recoveries: readonly Plan[] = [
  {
    name: 'survivors',
    about: 'two of five go on provisionally; the others come back and adopt it',
    scenario: { ...patient, faults: away([2, 3, 4], 15_000, 2 * minute) },
    seeds: usual,
    exercises: ['fork', 'provision', 'recovery opened', 'report provisional', 'recovery adopted'],
  },
  {
    name: 'survivors-replayed',
    about: 'two of five go on, though a guest repeats what the dead said before',
    scenario: {
      ...patient,
      guests: [{ atMs: 1_000, uninvited: true }],
      liars: [{ peer: 5, lies: [{ kind: 'replay', perSecond: 0.5, what: 'presences' }] }],
      faults: away([2, 3, 4], 15_000, 4 * minute),
    },
    seeds: usual,
    exercises: ['fork', 'provision', 'recovery opened', 'report provisional', 'recovery adopted'],
  },
  {
    name: 'survivors-alone',
    about: 'two of five cut off go on provisionally; what they did is carried home',
    scenario: { ...patient, loss: 0.02, faults: [cut([0, 1], 15_000, 2 * minute)] },
    seeds: usual,
    exercises: ['fork', 'provision', 'recovery abandoned', 'rewind'],
  },
  {
    name: 'two-recoveries',
    about: 'two halves without a quorum both go on provisionally, and meet again',
    scenario: { ...patient, members: 6, loss: 0.02, faults: [cut([0, 1, 2], 15_000, 2 * minute)] },
    seeds: usual,
    exercises: ['provision', 'recovery abandoned', 'recovery adopted', 'rewind'],
  },
  {
    name: 'recovery-crashes',
    about: 'survivors die again and again in the recovery, and while it ends',
    scenario: {
      ...patient,
      members: 6,
      loss: 0.02,
      faults: [
        cut([0, 1, 2], 15_000, 150_000),
        {
          kind: 'crashes',
          peers: [0, 1, 2, 3, 4, 5],
          everyEffects: [100, 1_000],
          times: 8,
          down: [200, 20_000],
        },
      ],
    },
    seeds: { sample: 3, nightly: 150 },
    exercises: ['provision', 'recovery adopted', 'rewind'],
    disputedMax: 6,
  },
  {
    name: 'recovery-guest',
    about: 'a newcomer joins during a recovery, and is admitted when it is regular',
    scenario: {
      ...patient,
      guests: [{ atMs: 100_000 }],
      faults: away([2, 3, 4], 15_000, 150_000),
    },
    seeds: usual,
    exercises: ['provision', 'recovery adopted', 'report admitted'],
    membersAtEnd: 6,
  },
  {
    name: 'reopened',
    about: 'three of four founders reopen a byzantine run; one dropped comes as a guest',
    scenario: {
      ...patient,
      members: 4,
      quorum: 'byzantine',
      rounds: 20,
      settings: {},
      faults: [
        cut([0, 1], 15_000, 150_000),
        { kind: 'away', peer: 3, fromMs: 15_000 },
        { kind: 'reopening', atMs: minute, founders: [0, 1, 2], listed: [0, 1] },
      ],
    },
    seeds: usual,
    exercises: ['recovery reopened', 'report retired'],
    membersAtEnd: 2,
  },
  {
    name: 'restored-pair',
    about: 'two get new vote keys at once and go on until the founders reopen',
    scenario: {
      ...patient,
      members: 2,
      faults: [
        ...restored([0, 1], 15_000),
        { kind: 'reopening', atMs: 2 * minute, founders: [0, 1], listed: [0, 1] },
      ],
    },
    seeds: rare,
    exercises: ['provision', 'recovery opened', 'recovery reopened', 'rewind'],
  },
  {
    name: 'restored-survivor',
    about: 'two of five are away, one gets a new vote key: three go on provisionally',
    scenario: {
      ...patient,
      rounds: 40,
      faults: [...away([3, 4], 15_000, 2 * minute), ...restored([1], 20_000)],
    },
    seeds: rare,
    exercises: ['provision', 'recovery opened'],
  },
  {
    name: 'restored-founders',
    about: 'two of four founders (byzantine) get new vote keys; all reopen the run',
    scenario: {
      ...patient,
      members: 4,
      quorum: 'byzantine',
      settings: {},
      faults: [
        ...restored([0, 1], 15_000),
        { kind: 'reopening', atMs: minute, founders: [0, 1, 2], listed: [0, 1, 2, 3] },
      ],
    },
    seeds: rare,
    exercises: ['recovery reopened'],
  },
  ...[0, 2].map(
    (deaf): Plan => ({
      name: `deaf-survivor-${deaf}`,
      about: 'of three survivors one hears nothing for minutes; two go on without it',
      scenario: {
        ...patient,
        members: 7,
        rounds: 45,
        faults: [
          ...away([3, 4, 5, 6], 15_000, 3 * minute),
          {
            kind: 'partition',
            side: [0, 1, 2].filter((peer) => peer !== deaf),
            fromMs: 15_000,
            untilMs: 150_000,
            oneWay: true,
          },
        ],
      },
      seeds: rare,
      exercises: ['provision', 'recovery opened'],
    }),
  ),
];
