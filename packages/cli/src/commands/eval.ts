import type { Engine } from '@murmuration/engine';
import type { Command } from 'commander';
import { collect, wholeNumber, withJson, withStore } from './options.ts';

interface EvalOptions {
  readonly store: string;
  readonly json: boolean;
  readonly data: string[];
  readonly all: boolean;
  readonly threads: number;
}

type Evaluation = Awaited<ReturnType<Engine['evaluate']>>;

const inWords = ({ loss, bitsPerByte, bytes }: Evaluation): string =>
  bitsPerByte === undefined
    ? `loss ${loss.toFixed(4)} on`
    : `${bitsPerByte.toFixed(3)} bits per byte on ${bytes.toLocaleString('en')} bytes of`;

export function addEval(program: Command): void {
  withJson(withStore(program.command('eval')))
    .description(
      'measure the common model: bits per byte of text, the loss of other samples (lower is better)',
    )
    .requiredOption(
      '-d, --data <path>',
      'text file or folder, or a folder of arrays; may be repeated: one result each',
      collect,
    )
    .option('--all', 'all of the data, not only the part that training never sees', false)
    .option('--threads <count>', 'threads', wholeNumber(1, 256), 1)
    .addHelpText(
      'after',
      `
Example:
  murmur eval --store my-run --data texts/fr --data texts/hi`,
    )
    .action(async (options: EvalOptions) => {
      const { openOffline } = await import('@murmuration/peer');
      const offline = await openOffline({ directory: options.store, threads: options.threads });
      try {
        for (const path of options.data) {
          const found = await offline.engine.evaluate({
            data: [path],
            part: options.all ? 'all' : 'held-out',
          });
          console.log(options.json ? JSON.stringify({ data: path, ...found }) : `${inWords(found)} ${path}`);
        }
      } finally {
        await offline.close();
      }
    });
}
