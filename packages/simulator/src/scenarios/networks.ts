/** What networks do by themselves. */
import type { Plan } from '../plan.ts';
import { calm } from '../scenario.ts';

const usual = { sample: 15, nightly: 220 };

export const networks: readonly Plan[] = [
  {
    name: 'calm',
    about: 'four peers in a quiet network',
    scenario: calm,
    seeds: usual,
    exercises: ['apply', 'settle'],
    certifiesAll: true,
  },
  {
    name: 'loss',
    about: 'every fifth message is lost, every tenth comes twice',
    scenario: { ...calm, loss: 0.2, duplication: 0.1 },
    seeds: usual,
    exercises: ['apply'],
  },
  {
    name: 'overtaking',
    about: 'a third of the messages is overtaken by up to three seconds',
    scenario: { ...calm, reordering: 0.3, duplication: 0.2, loss: 0.05 },
    seeds: usual,
    exercises: ['apply'],
  },
  {
    name: 'slow-network',
    about: 'messages take longer than the view timer',
    scenario: { ...calm, latency: [100, 2_500], loss: 0.1 },
    seeds: usual,
    exercises: ['undo', 'expire', 'report skipped'],
  },
  {
    name: 'long-tail',
    about: 'most messages are quick, a few take seconds',
    scenario: { ...calm, members: 5, latency: { medianMs: 60, sigma: 1.3 }, loss: 0.02, rounds: 8 },
    seeds: usual,
    exercises: ['apply'],
  },
  {
    name: 'home-uplinks',
    about: 'two of five peers upload a delta in about a second',
    scenario: {
      ...calm,
      members: 5,
      rounds: 8,
      latency: [10, 120],
      traits: { 1: { uplinkBytesPerSecond: 500, slowMs: 80 }, 3: { uplinkBytesPerSecond: 600 } },
    },
    seeds: usual,
    exercises: ['apply'],
    certifiesAll: true,
  },
  {
    name: 'slow-trainers',
    about: 'two of six peers train and execute four times as long',
    scenario: {
      ...calm,
      members: 6,
      rounds: 10,
      loss: 0.02,
      traits: {
        2: { trainFactor: 4, executeFactor: 4 },
        5: { trainFactor: 4, executeFactor: 8, slowMs: 150 },
      },
    },
    seeds: usual,
    exercises: ['apply'],
    certifiesAll: true,
  },
  {
    name: 'one-bad-link',
    about: 'one peer loses half of what it sends and hears',
    scenario: { ...calm, members: 5, traits: { 2: { loss: 0.5, slowMs: 200 } } },
    seeds: usual,
    exercises: ['apply'],
  },
  {
    name: 'clocks',
    about: 'clocks run 3 % apart and are set forward by an hour and back by seconds',
    scenario: {
      ...calm,
      rounds: 10,
      loss: 0.02,
      traits: {
        0: { driftPpm: 30_000 },
        1: { driftPpm: -30_000, jumps: [{ atMs: 2_000, byMs: 3_600_000 }] },
        2: { jumps: [{ atMs: 3_000, byMs: -4_000 }] },
      },
    },
    seeds: usual,
    exercises: ['apply'],
    certifiesAll: true,
  },
  {
    name: 'mesh',
    about: 'sixteen members gossip over eight neighbours each',
    scenario: {
      ...calm,
      members: 16,
      rounds: 4,
      gossip: { degree: 8 },
      latency: [10, 100],
      loss: 0.02,
    },
    seeds: { sample: 3, nightly: 60 },
    exercises: ['apply'],
    certifiesAll: true,
  },
  {
    name: 'wide-mesh',
    about: 'twenty-four members in a byzantine quorum, long tails, eight neighbours each',
    scenario: {
      ...calm,
      members: 24,
      rounds: 3,
      quorum: 'byzantine',
      gossip: { degree: 8 },
      latency: { medianMs: 50, sigma: 0.8 },
    },
    seeds: { sample: 1, nightly: 30 },
    exercises: ['apply'],
    certifiesAll: true,
  },
];
