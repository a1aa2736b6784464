/** Fault plans as data: each is run with many seeds. */
import { calm, type Scenario } from '@murmuration/simulator';

export interface Plan {
  readonly name: string;
  readonly scenario: Scenario;
  readonly seeds: number;
  /** Effects that must have happened somewhere in these seeds, or the plan tests nothing. */
  readonly exercises: readonly string[];
  readonly membersAtEnd?: number;
}

const restart = (peer: number, fromMs: number, untilMs: number) => ({
  kind: 'away' as const,
  peer,
  fromMs,
  untilMs,
});

export const plans: readonly Plan[] = [
  { name: 'a calm network', scenario: calm, seeds: 10, exercises: ['apply', 'settle'] },
  {
    name: 'loss and duplication',
    scenario: { ...calm, loss: 0.2, duplication: 0.1, rounds: 6 },
    seeds: 40,
    exercises: ['apply'],
  },
  {
    name: 'latency above the view timer',
    scenario: { ...calm, latencyMs: [100, 2_500], loss: 0.1, rounds: 6 },
    seeds: 40,
    exercises: ['undo', 'expire'],
  },
  {
    name: 'a dead proposer',
    scenario: { ...calm, loss: 0.02, faults: [{ kind: 'away', peer: 1, fromMs: 1_500 }] },
    seeds: 20,
    exercises: ['apply'],
  },
  {
    name: 'two dead of seven in a byzantine quorum',
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
    seeds: 8,
    exercises: ['apply'],
  },
  {
    name: 'a peer that is away and comes back',
    scenario: { ...calm, loss: 0.05, rounds: 12, faults: [restart(1, 1_500, 7_000)] },
    seeds: 20,
    exercises: ['sync'],
  },
  {
    name: 'everybody killed and restarted',
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
    seeds: 30,
    exercises: ['apply'],
  },
  {
    name: 'a partition without a quorum that heals',
    scenario: {
      ...calm,
      loss: 0.02,
      faults: [{ kind: 'partition', side: [0, 1], fromMs: 1_500, untilMs: 7_000 }],
    },
    seeds: 20,
    exercises: ['apply'],
  },
  {
    name: 'a late guest that replays and is admitted',
    scenario: { ...calm, loss: 0.02, rounds: 10, guests: [{ atMs: 1_500 }] },
    seeds: 10,
    exercises: ['sync'],
    membersAtEnd: 5,
  },
  {
    name: 'a late guest that installs a snapshot and is admitted',
    scenario: { ...calm, rounds: 28, snapshotEvery: 5, guests: [{ atMs: 13_500 }] },
    seeds: 4,
    exercises: ['sync', 'install'],
    membersAtEnd: 5,
  },
  {
    name: 'two guests at once',
    scenario: { ...calm, loss: 0.05, rounds: 10, guests: [{ atMs: 1_000 }, { atMs: 1_200 }] },
    seeds: 8,
    exercises: ['apply'],
    membersAtEnd: 6,
  },
  { name: 'a roster of one', scenario: { ...calm, members: 1 }, seeds: 5, exercises: ['apply'] },
  { name: 'a roster of two', scenario: { ...calm, members: 2, loss: 0.1 }, seeds: 10, exercises: ['apply'] },
];
