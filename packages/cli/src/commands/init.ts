import { publicKeyOf } from '@murmuration/base';
import { openStore } from '@murmuration/store';
import { type Command, Option } from 'commander';
import { CliError } from '../errors.ts';
import { formatRunLink } from '../run-link.ts';
import { collect, decimalNumber, wholeNumber, withJson, withStore } from './options.ts';

interface InitOptions {
  readonly store: string;
  readonly json: boolean;
  readonly name: string;
  readonly founder?: string[];
  readonly address?: string[];
  readonly quorum: 'crash' | 'byzantine';
  readonly rounds: number;
  readonly steps: number;
  readonly overlap: number;
  readonly batch: number;
  readonly context: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly learningRate: number;
  readonly k: number;
  readonly bits: number;
  readonly grace: number;
  readonly viewTimeout: number;
}

export function addInit(program: Command): void {
  withJson(withStore(program.command('init')))
    .description('found a run: write its settings into a new folder and print its link')
    .option('--name <text>', 'what people call the run', 'common model')
    .option('--founder <peer id>', 'another founder (see `murmur id`); may be repeated', collect)
    .option(
      '--address <multiaddr>',
      'where this peer will be reached, for the link; may be repeated',
      collect,
    )
    .addOption(
      new Option('--quorum <mode>', 'crash: members may fail (a majority decides); byzantine: some may lie')
        .choices(['crash', 'byzantine'])
        .default('crash'),
    )
    .option('--rounds <count>', 'the run ends after this many rounds', wholeNumber(1, 2 ** 31), 10_000)
    .option('--steps <count>', 'inner steps of a peer per round', wholeNumber(1, 100_000), 5)
    .option(
      '--overlap <count>',
      'inner steps while a contribution is being certified',
      wholeNumber(0, 100_000),
      5,
    )
    .option('--batch <count>', 'samples per inner step', wholeNumber(1, 65_536), 8)
    .option('--context <tokens>', 'tokens per sample', wholeNumber(2, 65_536), 128)
    .option('--width <count>', 'width of the transformer', wholeNumber(8, 16_384), 128)
    .option('--layers <count>', 'layers of the transformer', wholeNumber(1, 256), 4)
    .option('--heads <count>', 'attention heads', wholeNumber(1, 256), 4)
    .option('--learning-rate <value>', 'peak learning rate of AdamW', decimalNumber(1e-9, 10), 2e-3)
    .option('--k <count>', 'values sent of every 4,096', wholeNumber(1, 1_024), 64)
    .option('--bits <count>', 'bits per sent value: 1 or 2', wholeNumber(1, 2), 1)
    .option(
      '--grace <seconds>',
      'how long a round waits for a member that contributed lately',
      decimalNumber(0, 86_400),
      10,
    )
    .option(
      '--view-timeout <seconds>',
      'how long the members wait for a proposer',
      decimalNumber(0.05, 86_400),
      20,
    )
    .addHelpText(
      'after',
      `
Example:
  murmur init --store my-run --address /ip4/203.0.113.7/tcp/4150
  murmur start --store my-run --listen /ip4/0.0.0.0/tcp/4150 --data ~/texts

The settings are the run's identity: to change one is to found another run.`,
    )
    .action(initRun);
}

async function initRun(options: InitOptions): Promise<void> {
  if (options.width % options.heads !== 0)
    throw new CliError(`--heads: expected a divisor of the width ${options.width}, got ${options.heads}`, {
      code: 'bad-option',
    });
  for (const founder of options.founder ?? []) publicKeyOf(founder);
  const { createRun, freshNonce } = await import('@murmuration/peer');
  const store = openStore({ directory: options.store });
  try {
    if (store.runId)
      throw new CliError(`${options.store} belongs to run ${store.runId} already: choose another --store`, {
        code: 'store-exists',
      });
    const { width, layers, heads, context } = options;
    const { run, runId, settings, graph } = createRun({
      name: options.name,
      nonce: freshNonce(),
      founders: [store.identity.peer, ...(options.founder ?? [])].map(
        (founder) => founder as typeof store.identity.peer,
      ),
      quorum: options.quorum,
      rounds: options.rounds,
      steps: options.steps,
      overlapSteps: options.overlap,
      batch: options.batch,
      learningRate: options.learningRate,
      model: { vocabulary: 260, context, width, layers, heads },
      k: options.k,
      bits: options.bits === 1 ? 1 : 2,
      kappa: 0,
      outerStep: 1,
      feedback: 0.95,
      snapshotEvery: 64,
      graceMs: Math.round(options.grace * 1_000),
      viewTimeoutMs: Math.round(options.viewTimeout * 1_000),
    });
    const peers = (options.address ?? []).map((address) => `${address}/p2p/${store.identity.peer}`);
    const link = formatRunLink({ runId, peers });
    store.bindRun(runId);
    await store.putBlob(runId, settings);
    await store.putBlob(run.model.graph, graph);
    if (options.json)
      console.log(
        JSON.stringify({ runId, link, peer: store.identity.peer, parameters: run.initial.parameters }),
      );
    else
      console.log(
        `run          ${options.name} (${run.initial.parameters.toLocaleString('en')} parameters, ${run.rounds} rounds)\n` +
          `id           ${runId}\nthis peer    ${store.identity.peer}\nlink         ${link}\n\n` +
          `Next: npm run murmur -- start --store ${options.store} --data <folder of text>` +
          (peers.length === 0
            ? '\n(`murmur start` prints the addresses that belong into the link as ?peer=…)'
            : ''),
      );
  } finally {
    store.close();
  }
}
