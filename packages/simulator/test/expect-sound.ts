import assert from 'node:assert/strict';
import { calm, type Outcome, type Scenario, simulate } from '@murmuration/simulator';

/** Runs a scenario; a failure says which seed, what broke, and how to see it again. */
export function expectSound(scenario: Scenario): Outcome {
  const changes = Object.fromEntries(
    Object.entries(scenario).filter(
      ([key, value]) => JSON.stringify(value) !== JSON.stringify(calm[key as keyof Scenario]),
    ),
  );
  const command = `node --conditions=murmuration-source packages/simulator/test/replay.ts '${JSON.stringify(changes)}'`;
  let outcome: Outcome;
  try {
    outcome = simulate(scenario);
  } catch (cause) {
    throw new Error(`seed ${scenario.seed} threw; replay: ${command}`, { cause });
  }
  assert.deepEqual(outcome.problems, [], `seed ${scenario.seed}; replay: ${command}`);
  return outcome;
}
