import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calm, commandOf, type Scenario, scenarioOf, shrink, simulate } from '@murmuration/simulator';

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

test('shrink leaves a scenario that holds as it is', () => {
  const { scenario, problems, simulations } = shrink(calm);
  assert.equal(scenario, calm);
  assert.deepEqual(problems, []);
  assert.equal(simulations, 1);
});

test('shrink stops after the simulations that it may run', () => {
  assert.ok(shrink(failing, 5).simulations <= 5);
});

test('commandOf writes what scenarioOf reads', () => {
  const [, json = ''] = /^murmur simulate '(.*)'$/.exec(commandOf(failing)) ?? [];
  assert.deepEqual(scenarioOf(JSON.parse(json) as object), failing);
  assert.equal(commandOf(calm), "murmur simulate '{}'");
});

test('scenarioOf names keys that no scenario has', () => {
  assert.throws(() => scenarioOf({ los: 0.1 }), /expected keys among .*; got los/);
});
