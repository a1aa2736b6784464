import { decodeRunConfig, unitOf } from '@murmuration/base';
import { type LedgerRound, readLedgerEntry } from '@murmuration/protocol';
import { openStore } from '@murmuration/store';
import type { Command } from 'commander';
import { toString as textOf } from 'uint8arrays/to-string';
import { CliError } from '../errors.ts';
import { formatBytes, formatCount } from '../format.ts';
import { wholeNumber, withJson, withStore } from './options.ts';

const pageLength = 256;

interface LogOptions {
  readonly store: string;
  readonly json: boolean;
  readonly last: number;
}

export function addLog(program: Command): void {
  withJson(withStore(program.command('log')))
    .description('the ledger, readable: who contributed what to each certified round')
    .option('--last <count>', 'only the last rounds', wholeNumber(1, 2 ** 31), 20)
    .action(async ({ store: directory, json, last }: LogOptions) => {
      const store = openStore({ directory, readOnly: true });
      try {
        const { runId } = store;
        if (!runId) throw new CliError(`${directory} belongs to no run yet`, { code: 'no-store', directory });
        const settings = await store.getBlob(runId);
        const unit = settings ? unitOf(decodeRunConfig(settings)) : 'tokens';
        const end = store.lastHeight() ?? 0;
        for (let height = Math.max(store.firstHeight() ?? 1, end - last + 1); height <= end; ) {
          const entries = store.entries(height, Math.min(pageLength, end - height + 1));
          if (entries.length === 0) break;
          for (const { bytes } of entries) print(readLedgerEntry(bytes, runId), unit, json);
          height += entries.length;
        }
      } finally {
        store.close();
      }
    });
}

function print(block: LedgerRound, unit: string, json: boolean): void {
  const stateRoot = textOf(block.stateRoot, 'base16');
  const { id, height, epoch, view, proposer, contributions } = block;
  if (json) {
    console.log(JSON.stringify({ height, epoch, view, block: id, proposer, stateRoot, contributions }));
    return;
  }
  console.log(
    `round ${height}  root ${stateRoot.slice(0, 16)}  epoch ${epoch} view ${view}  proposed by …${proposer.slice(-8)}`,
  );
  for (const { author, tokens, steps, loss, blobBytes, baseHeight } of contributions)
    console.log(
      `    …${author.slice(-8)}  ${formatCount(tokens)} ${unit} in ${steps} steps ` +
        `from round ${baseHeight}, loss ${loss.toFixed(3)}, ${formatBytes(blobBytes)}`,
    );
}
