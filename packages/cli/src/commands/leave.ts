import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { processUsing } from '@murmuration/store';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { withStore } from './options.ts';

const stopWaitMs = 10_000;

export function addLeave(program: Command): void {
  withStore(program.command('leave'))
    .description('leave a run: stop its peer and delete its folder, key included')
    .option('--yes', 'do not ask', false)
    .addHelpText(
      'after',
      `
What the peer contributed stays in the common model. A founder that leaves still counts in the quorum: the others
go on as long as enough of them remain.`,
    )
    .action(async ({ store, yes }: { store: string; yes: boolean }) => {
      if (!existsSync(join(store, 'key')))
        throw new CliError(`${store}: expected the folder of a peer, found no key in it`, {
          code: 'no-store',
          store,
        });
      if (!yes && !(await confirm(`Delete ${store} with its key and ledger? This cannot be undone. [y/N] `)))
        throw new CliError('nothing was deleted', { code: 'not-confirmed' });
      await stopPeer(store);
      rmSync(store, { recursive: true });
      console.log(`left: ${store} is gone`);
    });
}

async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new CliError('expected --yes, since there is no terminal to ask at', { code: 'not-confirmed' });
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(question);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

async function stopPeer(store: string): Promise<void> {
  const pid = processUsing(store);
  if (pid === undefined) return;
  process.kill(pid, 'SIGINT');
  const started = performance.now();
  while (processUsing(store) !== undefined) {
    if (performance.now() - started > stopWaitMs)
      throw new CliError(`process ${pid} did not stop within ${stopWaitMs / 1_000} s; nothing was deleted`, {
        code: 'process-failed',
        pid,
      });
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
