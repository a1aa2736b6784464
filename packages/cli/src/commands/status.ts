import { readLedgerEntry } from '@murmuration/protocol';
import { openStore, processUsing } from '@murmuration/store';
import type { Command } from 'commander';
import { toString as textOf } from 'uint8arrays/to-string';
import { CliError } from '../errors.ts';
import { formatBytes, formatCount } from '../format.ts';
import { printable } from '../text-width.ts';
import { withJson, withStore } from './options.ts';

export function addStatus(program: Command): void {
  withJson(withStore(program.command('status')))
    .description('where the run of a folder is; works while its peer runs')
    .action(async ({ store: directory, json }: { store: string; json: boolean }) => {
      const { lastStatus } = await import('@murmuration/peer');
      const pid = processUsing(directory);
      const store = openStore({ directory, readOnly: true });
      try {
        const { runId } = store;
        if (!runId) throw new CliError(`${directory} belongs to no run yet`, { code: 'no-store', directory });
        const saved = lastStatus(store);
        const round = store.lastHeight() ?? 0;
        const [newest] = store.entries(round, 1);
        const stateRoot = newest
          ? textOf(readLedgerEntry(newest.bytes, runId).stateRoot, 'base16')
          : undefined;
        if (json) {
          console.log(
            JSON.stringify({
              runId,
              peer: store.identity.peer,
              pid: pid ?? null,
              round,
              stateRoot: stateRoot ?? null,
              status: saved ?? null,
            }),
          );
          return;
        }
        const lines = [
          ['run', `${saved?.status.run ?? ''} ${runId}`.trim()],
          ['peer', `${store.identity.peer}${saved ? ` (${saved.status.role})` : ''}`],
          ['process', pid === undefined ? 'not running' : `running, pid ${pid}`],
          ['round', `${round}${saved ? ` of ${saved.status.rounds}` : ''}, final`],
          ['state root', stateRoot ?? '–'],
          ...(saved && pid !== undefined
            ? [['members', `${saved.status.membersConnected} of ${saved.status.members} connected`]]
            : []),
          ...(saved
            ? [
                [
                  'training',
                  `step ${saved.status.step}, loss ${saved.status.loss?.toFixed(3) ?? '–'}, ` +
                    `${formatCount(saved.status.tokensPerSecond)} ${saved.status.unit}/s`,
                ],
                ...(saved.status.device
                  ? [['device', `${saved.status.device.name}: ${saved.status.device.reason}`]]
                  : []),
                [
                  'traffic',
                  `${formatBytes(saved.status.traffic.sent)} sent, ` +
                    `${formatBytes(saved.status.traffic.received)} received`,
                ],
                ['as of', new Date(saved.timeMs).toISOString()],
              ]
            : []),
        ];
        for (const [name = '', value = ''] of lines) console.log(`${name.padEnd(12)}${printable(value)}`);
      } finally {
        store.close();
      }
    });
}
