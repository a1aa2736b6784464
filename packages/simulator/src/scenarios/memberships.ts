/** Who comes, who goes, and how many there are. */
import type { Plan } from '../plan.ts';
import { calm, type Scenario } from '../scenario.ts';

/** Who may be a member, and how long, in a `crash` run. */
const membership = (
  changes: Partial<NonNullable<Scenario['settings']['membership']>>,
): Scenario['settings'] => ({
  membership: { votersMax: 64, earnedAfter: 0, silentAfter: 0, stallMs: 0, ...changes },
});

/** A founder beside whom guests earn membership by four certified rounds. */
const oneFounder: Scenario = {
  ...calm,
  members: 1,
  loss: 0.02,
  settings: membership({ earnedAfter: 4 }),
};

export const memberships: readonly Plan[] = [
  {
    name: 'alone',
    about: 'a roster of one',
    scenario: { ...calm, members: 1 },
    seeds: { sample: 10, nightly: 200 },
    exercises: ['apply'],
    certifiesAll: true,
  },
  {
    name: 'pair',
    about: 'a roster of two over a lossy link',
    scenario: { ...calm, members: 2, loss: 0.1 },
    seeds: { sample: 15, nightly: 220 },
    exercises: ['apply'],
  },
  {
    name: 'three-laptops',
    about: 'a roster of three that close their lids in turn',
    scenario: {
      ...calm,
      members: 3,
      rounds: 10,
      loss: 0.02,
      faults: [
        { kind: 'away', peer: 0, fromMs: 2_000, untilMs: 5_000 },
        { kind: 'away', peer: 1, fromMs: 6_000, untilMs: 9_000 },
      ],
    },
    seeds: { sample: 15, nightly: 220 },
    exercises: ['apply', 'sync'],
  },
  {
    name: 'late-guest',
    about: 'a guest replays the ledger and is admitted',
    scenario: { ...calm, loss: 0.02, rounds: 10, guests: [{ atMs: 1_500 }] },
    seeds: { sample: 10, nightly: 220 },
    exercises: ['sync', 'report admitted'],
    certifiesAll: true,
    membersAtEnd: 5,
  },
  {
    name: 'snapshot-guest',
    about: 'a guest installs a snapshot and is admitted',
    scenario: { ...calm, rounds: 28, snapshotEvery: 5, guests: [{ atMs: 13_500 }] },
    seeds: { sample: 4, nightly: 120 },
    exercises: ['sync', 'install', 'report admitted'],
    membersAtEnd: 5,
  },
  {
    name: 'two-guests',
    about: 'two guests are admitted, one after the other',
    scenario: { ...calm, loss: 0.05, rounds: 10, guests: [{ atMs: 1_000 }, { atMs: 1_200 }] },
    seeds: { sample: 8, nightly: 200 },
    exercises: ['report admitted'],
    certifiesAll: true,
    membersAtEnd: 6,
  },
  {
    name: 'guest-crashes',
    about: 'a guest dies again and again while it is admitted',
    scenario: {
      ...calm,
      rounds: 8,
      guests: [{ atMs: 500 }],
      faults: [{ kind: 'crashes', peers: [4], everyEffects: [15, 80], times: 6, down: [100, 800] }],
    },
    seeds: { sample: 10, nightly: 220 },
    exercises: ['report admitted'],
  },
  {
    name: 'guest-churn',
    about: 'six members, ten guests, of whom a tenth is replaced in every round',
    scenario: {
      ...calm,
      members: 6,
      rounds: 8,
      guests: Array.from({ length: 10 }, (_, index) => ({ atMs: 50 * index, uninvited: true })),
      churn: [{ who: 'guests', share: 0.1 }],
    },
    seeds: { sample: 2, nightly: 60 },
    exercises: ['sync'],
  },
  {
    name: 'large-churn',
    about: '16 members and 48 guests, a tenth of them replaced in every round',
    scenario: {
      ...calm,
      members: 16,
      rounds: 10,
      gossip: { degree: 8 },
      guests: Array.from({ length: 48 }, (_, index) => ({ atMs: 10 * index, uninvited: true })),
      churn: [{ who: 'guests', share: 0.1 }],
      limitMs: 60_000,
    },
    seeds: { sample: 0, nightly: 2 },
    exercises: ['sync'],
    goodputPercent: 90,
  },
  {
    name: 'coming-and-going',
    about: 'twelve members, of whom about one leaves in every round and comes back',
    scenario: {
      ...calm,
      members: 12,
      rounds: 10,
      churn: [{ who: 'members', share: 0.08, awayMs: [1_000, 4_000] }],
    },
    seeds: { sample: 2, nightly: 60 },
    exercises: ['sync'],
  },
  {
    name: 'leaving-and-earning',
    about: '12 members; about one retires in every round and earns its place again',
    scenario: {
      ...calm,
      members: 12,
      rounds: 16,
      settings: membership({ earnedAfter: 2, silentAfter: 16 }),
      churn: [{ who: 'members', share: 0.08, awayMs: [1_000, 4_000], retires: true }],
    },
    seeds: { sample: 1, nightly: 40 },
    exercises: ['report retired', 'report admitted', 'sync'],
    goodputPercent: 90,
  },
  {
    name: 'lost-farewell',
    about: 'members retire and go at once where every fourth message is lost',
    scenario: {
      ...calm,
      members: 3,
      rounds: 14,
      loss: 0.25,
      settings: membership({ earnedAfter: 2 }),
      churn: [{ who: 'members', share: 0.3, awayMs: [1_000, 4_000], retires: true }],
    },
    seeds: { sample: 20, nightly: 150 },
    exercises: ['report retired', 'report admitted', 'sync'],
  },
  {
    name: 'earned',
    about: 'three guests without an invitation earn membership by two certified rounds',
    scenario: {
      ...calm,
      rounds: 14,
      settings: membership({ earnedAfter: 2 }),
      guests: [
        { atMs: 500, uninvited: true },
        { atMs: 900, uninvited: true },
        { atMs: 1_300, uninvited: true },
      ],
    },
    seeds: { sample: 3, nightly: 80 },
    exercises: ['report admitted'],
    membersAtEnd: 7,
  },
  {
    name: 'founder-and-visitors',
    about: 'two guests earn membership beside one founder, and one of them vanishes',
    scenario: {
      ...oneFounder,
      rounds: 30,
      guests: [
        { atMs: 300, uninvited: true },
        { atMs: 2_000, uninvited: true },
      ],
      faults: [{ kind: 'away', peer: 1, fromMs: 12_000 }],
    },
    seeds: { sample: 5, nightly: 120 },
    exercises: ['report admitted'],
    membersAtEnd: 3,
  },
  {
    name: 'founder-and-visitor',
    about: 'a guest beside one founder earns no membership, and vanishes',
    scenario: {
      ...oneFounder,
      rounds: 20,
      guests: [{ atMs: 300, uninvited: true }],
      faults: [{ kind: 'away', peer: 1, fromMs: 7_000 }],
    },
    seeds: { sample: 3, nightly: 60 },
    exercises: ['apply'],
    membersAtEnd: 1,
  },
  {
    name: 'silent',
    about: 'two of five vanish and are members no more after four rounds',
    scenario: {
      ...calm,
      members: 5,
      rounds: 12,
      settings: membership({ silentAfter: 4 }),
      faults: [
        { kind: 'away', peer: 3, fromMs: 1_500 },
        { kind: 'away', peer: 4, fromMs: 1_600 },
      ],
    },
    seeds: { sample: 5, nightly: 120 },
    exercises: ['report retired'],
    membersAtEnd: 3,
  },
  {
    name: 'committees',
    about: 'three of nine vote in each epoch; guests come, a member leaves',
    scenario: {
      ...calm,
      members: 7,
      rounds: 16,
      settings: membership({ votersMax: 3, silentAfter: 5 }),
      guests: [{ atMs: 1_000 }, { atMs: 3_000 }],
      faults: [{ kind: 'away', peer: 6, fromMs: 5_000 }],
    },
    seeds: { sample: 2, nightly: 60 },
    exercises: ['report admitted', 'report retired', 'committee'],
    membersAtEnd: 8,
  },
  {
    name: 'checkpoint-guest',
    about: 'a guest begins at a pinned checkpoint and is admitted',
    scenario: {
      ...calm,
      rounds: 20,
      loss: 0.02,
      snapshotEvery: 4,
      guests: [{ atMs: 7_500, checkpoint: true }],
    },
    seeds: { sample: 6, nightly: 120 },
    exercises: ['checkpoint', 'install', 'report admitted'],
    membersAtEnd: 5,
  },
];
