/** Scenarios as text: what differs from the calm one, as JSON, and the command that runs it again. */
import { SimulatorError } from './errors.ts';
import { calm, type Scenario } from './scenario.ts';
import { checkScenario } from './scenario-schema.ts';

/** The keys in which a scenario differs from `calm`. */
export const changesOf = (scenario: Scenario): Partial<Scenario> =>
  Object.fromEntries(
    Object.entries(scenario).filter(
      ([key, value]) => JSON.stringify(value) !== JSON.stringify(calm[key as keyof Scenario]),
    ),
  );

/**
 * A scenario from its changes. Throws `SimulatorError` for a key that no scenario has, and for a value that is none of
 * that key's.
 */
export function scenarioOf(changes: object): Scenario {
  const unknown = Object.keys(changes).filter((key) => !(key in calm));
  if (unknown.length > 0)
    throw new SimulatorError(
      `scenario: expected keys among ${Object.keys(calm).join(', ')}; got ${unknown.join(', ')}`,
      { code: 'bad-scenario', unknown: unknown.join(', ') },
    );
  return checkScenario({ ...calm, ...changes });
}

/** One line for a shell. */
export const commandOf = (scenario: Scenario): string =>
  `murmur simulate '${JSON.stringify(changesOf(scenario)).replaceAll("'", "'\\''")}'`;
