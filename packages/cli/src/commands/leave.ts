import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { openStore, processUsing } from '@murmuration/store';
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
      openStore({ directory: store, readOnly: true }).close();
      if (!yes && !(await confirm(`Delete ${store} with its key and ledger? This cannot be undone. [y/N] `)))
        throw new CliError('nothing was deleted', { code: 'not-confirmed' });
      await stopPeer(store);
      removeStore(store);
      console.log(`left: the peer's files in ${store} are gone`);
    });
}

/** Only what a peer's store and engine put there; a folder that holds something else as well stays. */
function removeStore(store: string): void {
  const isOurs = /^(key|lock|ledger\.sqlite)(-.*)?$|^(blobs|snapshots|engine)$/;
  for (const name of readdirSync(store))
    if (isOurs.test(name)) rmSync(join(store, name), { recursive: true });
  if (readdirSync(store).length === 0) rmdirSync(store);
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
