import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calm, changesOf, plans, SimulatorError, scenarioOf, seeded } from '@murmuration/simulator';
import fc from 'fast-check';

test('scenarioOf reads every scenario of the suite', () => {
  for (const plan of plans) {
    const scenario = seeded(plan, 7);
    const json = JSON.stringify(changesOf(scenario));
    assert.deepEqual(scenarioOf(JSON.parse(json) as object), scenario, plan.name);
  }
});

const founders = { peer: 0, fromMs: 100 };

test('scenarioOf says which value was expected and which came', () => {
  for (const [changes, message] of [
    [{ members: 'many' }, /scenario: members: expected number, got "many"/],
    [{ members: 0 }, /scenario: members: .*>=1, got 0/],
    [{ members: 65 }, /scenario: members: .*<=64, got 65/],
    [{ rounds: 1e9 }, /scenario: rounds: .*<=10000, got 1000000000/],
    [{ limitMs: 1e15 }, /scenario: limitMs: .*<=86400000/],
    [{ loss: 2 }, /scenario: loss: .*<=1, got 2/],
    [{ loss: null }, /scenario: loss: expected number, got null/],
    [{ seed: 3 }, /scenario: seed: expected string, got 3/],
    [{ latency: [50, 5] }, /scenario: latency: expected \[low, high\] or .*, got a list of 2/],
    [{ training: -1 }, /scenario: training: expected \[low, high\] or .*, got -1/],
    [{ gossip: 'none' }, /scenario: gossip: expected "full" or/],
    [{ gossip: { degree: 0 } }, /scenario: gossip\.degree: .*>=1, got 0/],
    [{ faults: {} }, /scenario: faults: expected array, got an object/],
    [{ faults: [{ kind: 'flood' }] }, /scenario: faults\.0\.kind: /],
    [{ faults: [{ kind: 'away', ...founders, until: 3 }] }, /scenario: faults\.0: .*"until"/],
    [{ faults: [{ kind: 'away', ...founders, untilMs: 1 }] }, /expected untilMs at or after fromMs, got/],
    [{ faults: [{ kind: 'away', peer: 9, fromMs: 1 }] }, /faults\.0: expected a peer below 4, got 9/],
    [
      { faults: [{ kind: 'reopening', atMs: 1, founders: [4], listed: [] }], guests: [{ atMs: 1 }] },
      /founders/,
    ],
    [{ liars: [{ peer: 4, lies: [] }] }, /liars\.0: expected a peer below 4, got 4/],
    [{ liars: [1, 1].map((peer) => ({ peer, lies: [] })) }, /liars: expected each peer once, got 1, 1/],
    [{ liars: [{ peer: 1, lies: [{ kind: 'spam', perSecond: 0 }] }] }, /liars\.0\.lies\.0\.perSecond: /],
    [{ traits: { 0: { driftPpm: -1_000_000 } } }, /traits\.0\.driftPpm: .*>=-100000, got -1000000/],
    [{ traits: { first: {} } }, /traits\.first: /],
    [{ churn: [{ who: 'guests', share: 0 }] }, /churn\.0\.share: /],
    [{ settings: { rounds: 9 } }, /settings: .*"rounds"/],
    [{ settings: { membership: { votersMax: 0 } } }, /run settings: membership\.votersMax: .*, got 0/],
    [{ settings: { round: 7 } }, /settings\.round: expected an object, the run's "round", got 7/],
  ] as const)
    assert.throws(
      () => scenarioOf(changes),
      (error) => error instanceof SimulatorError && message.test(error.message),
      `${JSON.stringify(changes)} ${message}`,
    );
});

test('scenarioOf gives a scenario or a SimulatorError, whatever was written', () => {
  const key = fc.constantFrom(...Object.keys(calm));
  fc.assert(
    fc.property(fc.dictionary(key, fc.jsonValue({ maxDepth: 3 })), (changes) => {
      try {
        assert.deepEqual(scenarioOf(changes), { ...calm, ...changes });
      } catch (error) {
        assert.ok(error instanceof SimulatorError, String(error));
      }
    }),
  );
});
