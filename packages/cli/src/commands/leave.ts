import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { second } from '@murmuration/base';
import { openStore, processUsing } from '@murmuration/store';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import type { Farewell } from '../retire.ts';
import { confirm } from '../terminal.ts';
import { decimalNumber, withStore } from './options.ts';

const stopWaitMs = 10_000;
/** A few rounds of a minute each: the next block carries the wish, and must become final. */
const retireWaitDefaultSeconds = 180;

interface LeaveOptions {
  readonly store: string;
  readonly yes: boolean;
  readonly now: boolean;
  readonly wait: number;
}

const farewells: Readonly<Record<Farewell, string>> = {
  retired: '',
  'no-member': 'no member: nobody counts on this peer',
  'last-member': 'the last member: nobody certifies rounds any more until somebody founds the run anew',
  'run-ended': 'the run is over',
  interrupted: '',
};

export function addLeave(program: Command): void {
  withStore(program.command('leave'))
    .description('leave a run: ask the others to retire this member, then delete its folder, key included')
    .option('--yes', 'do not ask', false)
    .option('--now', 'do not wait until the others have retired this member', false)
    .option(
      '--wait <seconds>',
      'how long to wait for that at most',
      decimalNumber(1, 86_400),
      retireWaitDefaultSeconds,
    )
    .addHelpText(
      'after',
      `
What the peer contributed stays in the common model. A member is part of the quorum until a block that retires it is
final, so it runs once more until that is so; with --now the others count on it until they retire it for its silence
(in byzantine runs they never do).`,
    )
    .action(async ({ store, yes, now, wait }: LeaveOptions) => {
      openStore({ directory: store, readOnly: true }).close();
      if (!yes && !(await confirm(`Delete ${store} with its key and ledger? This cannot be undone. [y/N] `)))
        throw new CliError('nothing was deleted', { code: 'not-confirmed' });
      await stopPeer(store);
      if (!now && (await wasMember(store)) && !(await sayFarewell(store, wait * second))) return;
      removeStore(store);
      console.log(`left: the peer's files in ${store} are gone`);
    });
}

/** Whether the peer of a folder has ever run as a member. */
async function wasMember(directory: string): Promise<boolean> {
  const { lastStatus } = await import('@murmuration/peer');
  const store = openStore({ directory, readOnly: true });
  try {
    return lastStatus(store)?.status.role === 'member';
  } finally {
    store.close();
  }
}

/** Returns whether the folder may go. */
async function sayFarewell(store: string, waitMs: number): Promise<boolean> {
  const { retire } = await import('../retire.ts');
  const farewell = await retire(store, waitMs);
  if (farewells[farewell]) console.log(farewells[farewell]);
  return farewell !== 'interrupted';
}

/** Only what a peer's store and engine put there; a folder that holds something else as well stays. */
function removeStore(store: string): void {
  const isOurs = /^(key|vote-key|mark|lock|ledger\.sqlite)(-.*)?$|^(blobs|snapshots|downloads|engine)$/;
  for (const name of readdirSync(store))
    if (isOurs.test(name)) rmSync(join(store, name), { recursive: true });
  if (readdirSync(store).length === 0) rmdirSync(store);
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
