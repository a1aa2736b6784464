import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  findIdle,
  findProblems,
  mutantCases,
  type Outcome,
  type Plan,
  planOf,
  plans,
  runTask,
  simulate,
  summarize,
  type TaskResult,
  tasksOf,
} from '@murmuration/simulator';

test('tasksOf lists every mutant and every seed once', () => {
  for (const suite of ['sample', 'nightly'] as const) {
    const tasks = tasksOf({ suite });
    const seeds = plans.reduce((sum, plan) => sum + plan.seeds[suite], 0);
    assert.equal(tasks.length, seeds + mutantCases.length);
    assert.equal(new Set(tasks.map((task) => JSON.stringify(task))).size, tasks.length);
  }
});

test('tasksOf takes one plan and some seeds', () => {
  const tasks = tasksOf({ suite: 'sample', only: 'calm', seeds: { from: 7, to: 9 } });
  assert.deepEqual(
    tasks,
    [7, 8, 9].map((seed) => ({ kind: 'seed', name: 'calm', seed })),
  );
});

test('runTask gives the same plain result each time', () => {
  const task = { kind: 'seed', name: 'loss', seed: 3 } as const;
  const result = runTask(task);
  assert.deepEqual(JSON.parse(JSON.stringify(runTask(task))), result);
  assert.ok(result.performed.includes('apply'));
});

test('runTask says that it knows no such scenario', () => {
  const { problems } = runTask({ kind: 'seed', name: 'nowhere', seed: 0 });
  assert.deepEqual(problems, ['no scenario is named nowhere']);
});

test('findProblems says what a plan asks and its outcome lacks', () => {
  const plan = planOf('calm') as Plan;
  const outcome = simulate(plan.scenario);
  const asked = (changes: Partial<Plan>, seen: Partial<Outcome> = {}): string[] =>
    findProblems({ ...plan, ...changes }, { ...outcome, ...seen });
  assert.deepEqual(asked({}), []);
  assert.match(asked({ membersAtEnd: 5 })[0] ?? '', /^G3: expected 5 members/);
  assert.match(asked({ convicts: [1] })[0] ?? '', /^G5: expected 1 convicted by all/);
  assert.match(asked({ goodputPercent: 90 }, { tokensCertified: 1 })[0] ?? '', /^G3: expected 90 %/);
  assert.match(asked({ commitMsMax: { median: 1, mean: 9_999 } })[0] ?? '', /^G3: expected rounds certified/);
  assert.match(asked({ commitMsMax: { median: 9_999, mean: 1 } })[0] ?? '', /^G3: expected rounds certified/);
  assert.match(asked({}, { disputed: 1 })[0] ?? '', /^G4: expected at most 0 disputed pieces of work, got 1/);
  assert.match(asked({}, { expired: 1 })[0] ?? '', /^G4: expected every contribution/);
});

test('summarize counts what held and what did not', () => {
  const one: TaskResult = {
    kind: 'seed',
    name: 'calm',
    seed: 0,
    problems: [],
    falseConvictions: 0,
    commitMs: [100, 200],
    tokensTrained: 1_000,
    tokensCertified: 900,
    pieces: 10,
    disputed: 0,
    performed: ['apply', 'settle'],
  };
  const other = { ...one, seed: 1, problems: ['G1: …'], falseConvictions: 2, commitMs: [400] };
  const mutant: TaskResult = { ...one, kind: 'mutant', name: 'broken', isCaught: true };
  assert.deepEqual(summarize([one, other, mutant, { ...mutant, isCaught: false }]), {
    scenarios: 1,
    seeds: 2,
    violations: 1,
    falseConvictions: 2,
    mutants: 2,
    mutantsCaught: 1,
    commitMsMedian: 200,
    commitMsP99: 400,
    goodputPercent: 90,
  });
  assert.deepEqual(findIdle([one]), []);
  assert.deepEqual(findIdle([{ ...one, performed: ['apply'] }]), ['calm: no settle']);
});
