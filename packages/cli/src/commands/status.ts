import type { PeerStatus } from '@murmuration/peer';
import { readLedgerEntry } from '@murmuration/protocol';
import { openStore, processUsing } from '@murmuration/store';
import type { Command } from 'commander';
import { toString as textOf } from 'uint8arrays/to-string';
import { checkpointLink } from '../checkpoint-link.ts';
import { CliError } from '../errors.ts';
import { formatBytes, formatCount, formatShare } from '../format.ts';
import { printable } from '../text-width.ts';
import { withJson, withStore } from './options.ts';

const blobsInWords = ({
  bytes,
  bytesMax,
}: {
  readonly bytes: number;
  readonly bytesMax: number | null;
}): string =>
  bytesMax === null
    ? `${formatBytes(bytes)}, all are kept (archive)`
    : `${formatBytes(bytes)}, old ones go beyond ${formatBytes(bytesMax)}`;

/** Who the members are in number, who of them votes, and whether we do. */
function membershipLines(status: PeerStatus, isRunning: boolean): string[][] {
  const { members, membersConnected, voters, votes, role, epoch } = status;
  const connected = isRunning ? `, ${membersConnected} connected` : '';
  const committee = voters < members ? `, ${voters} of them vote` : '';
  const own = role === 'member' && voters < members ? (votes ? ', this peer among them' : ', others') : '';
  return [
    ['epoch', `${epoch}`],
    ['members', `${members}${connected}${committee}${own}`],
  ];
}

/** Where the engine's time went since it began to train. */
function timeInWords(time: NonNullable<PeerStatus['time']>): string {
  const { wallSeconds, trainingSeconds, callsSeconds, evaluationSeconds } = time;
  const share = (seconds: number): string => formatShare(seconds / wallSeconds);
  const waits = wallSeconds - trainingSeconds - callsSeconds - evaluationSeconds;
  const evaluates = evaluationSeconds > 0 ? `, evaluates ${share(evaluationSeconds)}` : '';
  return `trains ${share(trainingSeconds)} of its time, deltas and checkpoints ${share(callsSeconds)}${evaluates}, waits ${share(waits)}`;
}

function workLines(status: PeerStatus, timeMs: number): string[][] {
  const { step, loss, tokensPerSecond, unit, time, device, blobs, traffic } = status;
  const speed = `${formatCount(tokensPerSecond)} ${unit}/s`;
  return [
    ['training', `step ${step}, loss ${loss?.toFixed(3) ?? '–'}, ${speed}`],
    ...(time ? [['engine', timeInWords(time)]] : []),
    ...(device ? [['device', `${device.name}: ${device.reason}`]] : []),
    ...(blobs ? [['blobs', blobsInWords(blobs)]] : []),
    ['traffic', `${formatBytes(traffic.sent)} sent, ${formatBytes(traffic.received)} received`],
    ['as of', new Date(timeMs).toISOString()],
  ];
}

interface StatusOptions {
  readonly store: string;
  readonly json: boolean;
  readonly checkpoint: boolean;
}

export function addStatus(program: Command): void {
  withJson(withStore(program.command('status')))
    .description('where the run of a folder is; works while its peer runs')
    .option(
      '--checkpoint',
      'print a link that begins at the newest snapshot instead of at the first round',
      false,
    )
    .action(async ({ store: directory, json, checkpoint }: StatusOptions) => {
      const { lastAddresses, lastStatus } = await import('@murmuration/peer');
      const pid = processUsing(directory);
      const store = openStore({ directory, readOnly: true });
      try {
        const { runId } = store;
        if (!runId) throw new CliError(`${directory} belongs to no run yet`, { code: 'no-store', directory });
        if (checkpoint) {
          const link = await checkpointLink(store, runId, lastAddresses(store));
          console.log(json ? JSON.stringify({ runId, link }) : link);
          return;
        }
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
          ...(saved ? membershipLines(saved.status, pid !== undefined) : []),
          ...(saved ? workLines(saved.status, saved.timeMs) : []),
        ];
        for (const [name = '', value = ''] of lines) console.log(`${name.padEnd(12)}${printable(value)}`);
      } finally {
        store.close();
      }
    });
}
