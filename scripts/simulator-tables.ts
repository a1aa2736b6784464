/**
 * `npm run simulator-tables`: runs every broken build until a seed of its scenario catches it, and writes these seeds
 * to the simulator's `mutant-seeds.ts`, and the tables of scenarios and broken builds and the drawing to its README.md. To
 * be run after a change of the protocol. The exit code is 1 when a build was caught by no seed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import {
  draw,
  type MutantCase,
  mutantCases,
  plans,
  scenarioOf,
  simulate,
  type Task,
  type TaskResult,
} from '@murmuration/simulator';

const folder = new URL('../packages/simulator/', import.meta.url);
/** Workers at once. */
const workers = 2;

function run({ mutant }: MutantCase): Promise<TaskResult> {
  const task: Task = { kind: 'mutant', name: mutant.name, seed: 0 };
  const worker = new Worker(new URL('patched-worker.ts', import.meta.url), {
    workerData: mutant.patches ?? [],
  });
  return new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('message', (result: TaskResult) => void worker.terminate().then(() => resolve(result)));
    worker.postMessage(task);
  });
}

/** The table between a marker and the next empty line after it. */
function replaceTable(
  text: string,
  marker: string,
  head: readonly string[],
  rows: readonly string[],
): string {
  const from = text.indexOf('|', text.indexOf(marker));
  if (!text.includes(marker) || from < 0) throw new Error(`README.md: expected a table after ${marker}`);
  return `${text.slice(0, from)}${[...head, ...rows].join('\n')}${text.slice(text.indexOf('\n\n', from))}`;
}

/** The drawing under the command that makes it. */
function replaceDrawing(text: string): string {
  const [shown = '', json = ''] = /```\n\$ murmur simulate '(.*)'\n/.exec(text) ?? [];
  const from = text.indexOf(shown) + shown.length;
  if (!shown) throw new Error('README.md: expected a drawing under its command');
  const drawing = draw(simulate(scenarioOf(JSON.parse(json) as object), { isTraced: true }));
  return `${text.slice(0, from)}${drawing}\n${text.slice(text.indexOf('```', from))}`;
}

const seeds = new Map<string, number>();
const left = [...mutantCases];
await Promise.all(
  Array.from({ length: workers }, async () => {
    for (let made = left.shift(); made; made = left.shift()) {
      const { caughtBy } = await run(made).catch((error: Error) => {
        throw new Error(`${made?.mutant.name}: ${error.message}`);
      });
      console.error(`${made.mutant.name}: ${caughtBy ?? 'NOT CAUGHT'}`);
      if (caughtBy === undefined) process.exitCode = 1;
      else seeds.set(made.mutant.name, Number(caughtBy.split(' ').at(-1)));
    }
  }),
);
const seedOf = ({ mutant, seed }: MutantCase): number => seeds.get(mutant.name) ?? seed;

const lines = mutantCases.map((made) => `  '${made.mutant.name}': ${seedOf(made)},`);
writeFileSync(
  new URL('src/mutant-seeds.ts', folder),
  [
    '/** A seed that catches each broken build. Written by `npm run simulator-tables`. */',
    'export const mutantSeedOf: Readonly<Record<string, number>> = {',
    ...lines,
    '};',
    '',
  ].join('\n'),
);

const readme = new URL('README.md', folder);
const sourceOf = ({ mutant }: MutantCase): string =>
  mutant.patches?.map(({ file }) => `\`${file}\``).join(', ') ?? 'the driver around it';
const withMutants = replaceTable(
  readFileSync(readme, 'utf8'),
  '<!-- mutants',
  ['| broken build | breaks | changed source | caught by |', '| --- | --- | --- | --- |'],
  mutantCases.map(
    (made) =>
      `| ${made.mutant.name} | ${made.mutant.breaks} | ${sourceOf(made)} | \`${made.plan}\` seed ${seedOf(made)} |`,
  ),
);
const withScenarios = replaceTable(
  withMutants,
  '<!-- scenarios',
  ['| scenario | what happens |', '| --- | --- |'],
  plans.map(({ name, about }) => `| \`${name}\` | ${about} |`),
);
writeFileSync(readme, replaceDrawing(withScenarios));
