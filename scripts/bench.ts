/**
 * `npm run bench -- QUESTION [options] [--json]`: runs one benchmark; with --json its figures are the last line, as one
 * object.
 */
import { bench as chaos } from '../packages/cli/bench/chaos/chaos.ts';
import { bench as overlap } from '../packages/cli/bench/overlap/overlap.ts';
import { bench as codec } from '../packages/delta/bench/codec.ts';
import { bench as checkpointing } from '../packages/engine/bench/checkpointing.ts';
import { bench as convergence } from '../packages/engine/bench/convergence/convergence.ts';
import { bench as step } from '../packages/engine/bench/step.ts';
import { bench as loop } from '../packages/peer/bench/loop.ts';
import { bench as memory } from '../packages/peer/bench/memory.ts';
import { bench as floods } from '../packages/simulator/bench/floods.ts';
import { bench as replicaMemory } from '../packages/simulator/bench/memory.ts';
import { bench as plans } from '../packages/simulator/bench/plans.ts';
import { bench as scale } from '../packages/simulator/bench/scale.ts';

const questions: Readonly<Record<string, (options: readonly string[]) => Promise<object>>> = {
  step,
  checkpointing,
  codec,
  convergence,
  loop,
  memory,
  chaos,
  overlap,
  scale,
  plans,
  floods,
  'replica-memory': replicaMemory,
};

const [question = '', ...flags] = process.argv.slice(2);
const run = questions[question];
if (!run) {
  console.error(
    `usage: npm run bench -- ${Object.keys(questions).join(' | ')} [options of the question] [--json]`,
  );
  process.exit(2);
}
const figures = await run(flags.filter((flag) => flag !== '--json'));
if (flags.includes('--json')) console.log(JSON.stringify(figures));
