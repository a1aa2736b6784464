import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  calm,
  commandOf,
  type Outcome,
  type Plan,
  planOf,
  type Scenario,
  scenarioOf,
  shrink,
  shrinkSeed,
  simulate,
} from '@murmuration/simulator';

const failing: Scenario = {
  ...calm,
  seed: 'shrink',
  members: 5,
  rounds: 8,
  loss: 0.1,
  limitMs: 120_000,
  faults: [
    { kind: 'pause', peer: 0, fromMs: 500, untilMs: 900 },
    { kind: 'away', peer: 1, fromMs: 1_000 },
    { kind: 'away', peer: 2, fromMs: 1_000 },
    { kind: 'away', peer: 3, fromMs: 1_000 },
    { kind: 'partition', side: [4], fromMs: 1_000, untilMs: 1_200 },
  ],
};

test('shrink keeps what breaks a scenario and leaves out the rest', () => {
  assert.match(simulate(failing).problems[0] ?? '', /^G3/);
  const { scenario, problems, simulations } = shrink(failing);
  assert.match(problems[0] ?? '', /^G3/);
  assert.deepEqual(simulate(scenario).problems, problems);
  assert.equal(scenario.loss, 0);
  assert.ok(scenario.rounds < failing.rounds && scenario.members <= failing.members);
  assert.ok(scenario.faults.length >= 1 && scenario.faults.every(({ kind }) => kind === 'away'));
  assert.ok(simulations <= 300);
});

test('shrink keeps what a plan asks: the scenario stays as long and as large, its network gets quieter', () => {
  const lossy: Scenario = { ...calm, seed: 'asked', loss: 0.05, duplication: 0.2, rounds: 4 };
  const find = ({ problems, members }: Outcome): string[] => [
    ...problems,
    ...(members === 5 ? [] : [`G3: expected 5 members at the end, got ${members}`]),
  ];
  const { scenario, problems } = shrink(lossy, { find });
  assert.deepEqual(problems, ['G3: expected 5 members at the end, got 4']);
  assert.deepEqual(scenario, { ...lossy, loss: 0, duplication: 0 });
});

test('shrinkSeed finds what its plan finds', () => {
  const plan = planOf('late-guest') as Plan;
  const { problems, scenario } = shrinkSeed({ ...plan, membersAtEnd: 6 }, 0);
  assert.match(problems[0] ?? '', /expected 6 members at the end, got 5/);
  assert.equal(scenario.guests.length, 1);
  assert.deepEqual(shrinkSeed(plan, 0).problems, []);
});

test('shrink leaves a scenario that holds as it is', () => {
  const { scenario, problems, simulations } = shrink(calm);
  assert.equal(scenario, calm);
  assert.deepEqual(problems, []);
  assert.equal(simulations, 1);
});

test('shrink stops after the simulations that it may run', () => {
  assert.ok(shrink(failing, { budget: 5 }).simulations <= 5);
});

test('commandOf writes what scenarioOf reads', () => {
  const [, json = ''] = /^murmur simulate '(.*)'$/.exec(commandOf(failing)) ?? [];
  assert.deepEqual(scenarioOf(JSON.parse(json) as object), failing);
  assert.equal(commandOf(calm), "murmur simulate '{}'");
});

test('scenarioOf names keys that no scenario has', () => {
  assert.throws(() => scenarioOf({ los: 0.1 }), /expected keys among .*; got los/);
});
