/** Question `replica-memory`: does what a replica keeps in memory grow with the rounds? */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { calm, type Scenario, simulate } from '../src/index.ts';

interface MemoryAt {
  readonly rounds: number;
  readonly seconds: number;
  /** Heap that is reachable through one peer's process and nothing else, kB. */
  readonly replicaKB: number;
}

const roundsDefault = [125, 250, 500, 1_000];
/** The run goes on for so long after the last measurement, so that nobody has ended. */
const spareRounds = 10;
const kB = 1_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapBytes(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const members = 4;
const scenario: Scenario = { ...calm, seed: 'memory', members, loss: 0.05, limitMs: 1e9 };

/**
 * A run of its own for each row. The judge, the disks and the trace of the simulation grow with the rounds; so the
 * heap is measured with the processes and without them.
 */
function measure(rounds: number): MemoryAt {
  const started = performance.now();
  let bytes = 0;
  const { problems } = simulate(
    { ...scenario, rounds: rounds + spareRounds },
    {
      blocks: rounds,
      atEnd(release) {
        const before = heapBytes();
        release();
        bytes = before - heapBytes();
      },
    },
  );
  if (problems.length > 0) throw new Error(`${rounds} rounds: ${problems.join('; ')}`);
  const seconds = Math.round((performance.now() - started) / 1_000);
  return { rounds, seconds, replicaKB: Math.round(bytes / members / kB) };
}

/** Prints a table row by row. Options: numbers of rounds, instead of all. */
export async function bench(options: readonly string[]): Promise<{ table: readonly MemoryAt[] }> {
  const chosen = options.length > 0 ? options.map(Number) : roundsDefault;
  measure(chosen[0] as number);
  console.log('| rounds | kB per replica | seconds |\n| --- | --- | --- |');
  const table = chosen.map((rounds) => {
    const row = measure(rounds);
    console.log(`| ${rounds} | ${row.replicaKB} | ${row.seconds} |`);
    return row;
  });
  return { table };
}
