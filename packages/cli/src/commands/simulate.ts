import { readFileSync } from 'node:fs';
import {
  draw,
  findProblems,
  type Outcome,
  type Plan,
  planOf,
  plans,
  quantile,
  type Scenario,
  SimulatorError,
  scenarioOf,
  seeded,
  simulate,
} from '@murmuration/simulator';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { formatBytes } from '../format.ts';
import { formatTable } from '../table.ts';
import { withJson } from './options.ts';

interface SimulateOptions {
  readonly seed?: string;
  readonly json: boolean;
  readonly list: boolean;
}

const narrowest = 60;
const widthDefault = 100;

export function addSimulate(program: Command): void {
  withJson(program.command('simulate'))
    .description('run a scenario with many simulated peers in virtual time and draw what happened')
    .argument('[scenario]', 'a name from --list, a file with a scenario as JSON, or the JSON itself')
    .option('--seed <seed>', 'another course of the same scenario (default: 0)')
    .option('--list', 'name the scenarios', false)
    .action((name: string | undefined, options: SimulateOptions) => {
      if (options.list || name === undefined) {
        console.log(listOf(options.json));
        return;
      }
      const plan = planOf(name);
      const scenario = plan ? seeded(plan, options.seed ?? 0) : readScenario(name, options.seed);
      const outcome = simulate(scenario, { isTraced: !options.json });
      const problems = plan ? findProblems(plan, outcome) : outcome.problems;
      if (options.json) console.log(JSON.stringify({ ...outcome, problems }));
      else print(plan, outcome, problems);
      if (problems.length > 0) process.exitCode = exitCodes.failure;
    });
}

function listOf(json: boolean): string {
  if (json) return plans.map(({ name, about }) => JSON.stringify({ name, about })).join('\n');
  const rows = plans.map(({ name, about }) => [name, about]);
  return formatTable(['scenario', 'what happens'], rows, ['left', 'left']);
}

/** A scenario's changes to the calm one, from a file or the command line. */
function readScenario(source: string, seed: string | undefined): Scenario {
  const isInline = source.trimStart().startsWith('{');
  try {
    const changes = JSON.parse(isInline ? source : readFileSync(source, 'utf8')) as unknown;
    if (typeof changes !== 'object' || changes === null || Array.isArray(changes))
      throw new SimulatorError('scenario: expected an object', { code: 'bad-scenario' });
    return scenarioOf({ ...changes, ...(seed !== undefined && { seed }) });
  } catch (cause) {
    const { message } = cause as Error;
    const expected = 'expected the name of a scenario (see --list), or JSON, or a file with JSON';
    throw new CliError(
      `simulate: ${cause instanceof SimulatorError ? message : `${expected}; ${message}`}`,
      { code: 'bad-option', source: source.slice(0, 80) },
      { cause },
    );
  }
}

function print(plan: Plan | undefined, outcome: Outcome, problems: readonly string[]): void {
  const { scenario, finalAtMs, elapsedMs, commitMs, skippedViews, tokensTrained, tokensCertified } = outcome;
  const width = Math.max(narrowest, process.stdout.columns ?? widthDefault);
  if (plan) console.log(`${plan.name}: ${plan.about}`);
  console.log(
    `seed ${JSON.stringify(scenario.seed)}, ${scenario.members} members, ${scenario.guests.length} guests, ${scenario.quorum} quorum\n`,
  );
  console.log(`${draw(outcome, { width })}\n`);
  console.log(formatTable(...peerTable(outcome)));
  const share = tokensTrained > 0 ? Math.round((100 * tokensCertified) / tokensTrained) : 100;
  const rounds = finalAtMs.filter((at) => at !== undefined).length;
  console.log(
    `\n${rounds} of ${scenario.rounds} rounds certified in ${(elapsedMs / 1_000).toFixed(1)} s of virtual time; ${skippedViews} views skipped`,
  );
  console.log(
    `from the last contribution to the settled block: median ${Math.round(quantile(commitMs, 0.5))} ms, at most ${Math.round(quantile(commitMs, 1))} ms`,
  );
  console.log(`${share} % of the trained tokens are in certified rounds`);
  for (const problem of problems) console.log(`BROKEN ${problem}`);
  if (problems.length === 0) console.log('every guarantee held');
}

function peerTable({ peers, scenario }: Outcome): [string[], string[][]] {
  const rounds = Math.max(1, scenario.rounds);
  return [
    ['peer', 'state', 'height', 'root', 'messages/round', 'gossip/round', 'served'],
    peers.map(({ index, isHonest, phase, height, stateRoot, messagesSent, bytesSent, servedBytes }) => [
      `${index}${isHonest ? '' : ' liar'}`,
      phase,
      String(height),
      stateRoot.slice(0, 8),
      String(Math.round(messagesSent / rounds)),
      formatBytes(Math.round(bytesSent / rounds)),
      formatBytes(servedBytes),
    ]),
  ];
}
