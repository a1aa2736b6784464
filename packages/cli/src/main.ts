import { FactError } from '@murmuration/base';
import { Command, CommanderError } from 'commander';
import { addDemo } from './commands/demo.ts';
import { addEval } from './commands/eval.ts';
import { addExport } from './commands/export.ts';
import { addGenerate } from './commands/generate.ts';
import { addId } from './commands/id.ts';
import { addInit } from './commands/init.ts';
import { addInvite } from './commands/invite.ts';
import { addJoin } from './commands/join.ts';
import { addLeave } from './commands/leave.ts';
import { addLog } from './commands/log.ts';
import { addModel } from './commands/model.ts';
import { addProve } from './commands/prove.ts';
import { addRecover } from './commands/recover.ts';
import { addSimulate } from './commands/simulate.ts';
import { addStart } from './commands/start.ts';
import { addStatus } from './commands/status.ts';
import { addVerify } from './commands/verify.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { printableLines } from './text-width.ts';

/** In the order in which a newcomer meets them. */
const commands = [
  addDemo,
  addInit,
  addJoin,
  addStart,
  addStatus,
  addLog,
  addVerify,
  addProve,
  addEval,
  addGenerate,
  addExport,
  addModel,
  addId,
  addInvite,
  addRecover,
  addLeave,
  addSimulate,
];

function createProgram(): Command {
  const program = new Command('murmur')
    .description('Train one common model with other peers, each on data that never leaves it. No server.')
    .version('0.1.0')
    .showHelpAfterError('(see --help)')
    .exitOverride()
    .addHelpText(
      'after',
      `
First steps:
  murmur demo                              four peers on this machine teach one model
  murmur init --store my-run               found a run and get its link
  murmur join LINK --data ~/texts          train along
  murmur status · murmur log               where the run is, who contributed what`,
    );
  for (const add of commands) add(program);
  return program;
}

/** Whoever reads our output (`murmur log | head`) has seen enough. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(exitCodes.success);
}

/** Runs the command line; resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  process.stdout.on('error', endWithReader);
  try {
    await createProgram().parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? exitCodes.success);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.success : exitCodes.usage;
    if (error instanceof FactError) {
      console.error(printableLines(`murmur: ${error.message}`));
      const isUsage = error instanceof CliError && error.code === 'bad-option';
      return Number(process.exitCode ?? (isUsage ? exitCodes.usage : exitCodes.failure));
    }
    console.error(error);
    return exitCodes.internal;
  }
}
