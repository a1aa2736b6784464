import type { Command } from 'commander';
import { collect, wholeNumber, withJson, withStore } from './options.ts';

interface EvalOptions {
  readonly store: string;
  readonly json: boolean;
  readonly data: string[];
  readonly all: boolean;
  readonly threads: number;
}

const inWords = (loss: number, bitsPerByte: number | undefined): string =>
  bitsPerByte === undefined ? `loss ${loss.toFixed(4)}` : `${bitsPerByte.toFixed(3)} bits per byte`;

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
    .option('--all', 'all of the text, not only the part that training never sees', false)
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
          const { loss, bitsPerByte, bytes } = await offline.engine.evaluate({
            data: [path],
            part: options.all ? 'all' : 'held-out',
          });
          console.log(
            options.json
              ? JSON.stringify({ data: path, loss, bitsPerByte, bytes })
              : `${inWords(loss, bitsPerByte)} on ${bytes.toLocaleString('en')} bytes of ${path}`,
          );
        }
      } finally {
        await offline.close();
      }
    });
}
