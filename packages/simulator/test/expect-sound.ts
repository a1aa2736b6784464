import assert from 'node:assert/strict';
import { commandOf, type Outcome, type Scenario, simulate } from '@murmuration/simulator';

/** Runs a scenario; a failure says which seed, what broke, and how to see it again. */
export function expectSound(scenario: Scenario): Outcome {
  const again = `seed ${scenario.seed}; see it with: ${commandOf(scenario)}`;
  let outcome: Outcome;
  try {
    outcome = simulate(scenario);
  } catch (cause) {
    throw new Error(`threw; ${again}`, { cause });
  }
  assert.deepEqual(outcome.problems, [], again);
  return outcome;
}
