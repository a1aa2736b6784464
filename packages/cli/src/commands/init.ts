import type { Tie } from '@murmuration/autodiff';
import { type PeerId, publicKeyOf, type RunConfigInput, runDefaults, second } from '@murmuration/base';
import type { CreatedRun, RunOptions } from '@murmuration/peer';
import { openStore } from '@murmuration/store';
import { type Command, Option } from 'commander';
import { CliError } from '../errors.ts';
import { formatRunLink } from '../run-link.ts';
import type { ModelOptions } from '../run-model.ts';
import { printable } from '../text-width.ts';
import { collect, decimalNumber, wholeNumber, withJson, withStore } from './options.ts';
import { tieText, withTrainingOptions } from './training-options.ts';

interface InitOptions extends ModelOptions {
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
  readonly optimizer: keyof typeof optimizers;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly clip: number;
  readonly schedule: 'constant' | 'cosine' | 'wsd';
  readonly decayRounds?: number;
  readonly accumulate: number;
  readonly k: number;
  readonly kMin?: number;
  readonly bits: keyof typeof bitsOf;
  readonly grace: number;
  readonly viewTimeout: number;
  readonly earnedAfter?: number;
  readonly silentAfter?: number;
  readonly stall?: number;
  readonly voters: number;
}

const { earnedAfter, silentAfter, stallMs, votersMax } = runDefaults.membership;

/** The words of --bits. */
const bitsOf = { '1': 1, '2': 2, '4': 4, '8': 8 } as const;

type InnerSettings = RunConfigInput['inner'];

/** What each optimizer gets besides the learning rate; Muon's numbers are those of Jordan et al. (2024). */
const optimizers = {
  adamw: runDefaults.inner.optimizer,
  sgd: { kind: 'sgd', momentum: 0.9, nesterov: true },
  muon: {
    kind: 'muon',
    momentum: 0.95,
    nesterov: true,
    iterations: 5,
    rateOfVectors: 0.1,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
  },
} as const satisfies Readonly<Record<string, InnerSettings['optimizer']>>;

/** What people see of the run, and who founds it. */
const withRun = (command: Command): Command =>
  withJson(withStore(command.optionsGroup('Run:')))
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
    .option('--rounds <count>', 'the run ends after this many rounds', wholeNumber(1, 2 ** 31), 10_000);

const withModel = (command: Command): Command =>
  withTrainingOptions(
    command
      .optionsGroup('Model, a fresh transformer:')
      .option('--width <count>', 'width of the transformer', wholeNumber(8, 16_384), 128)
      .option('--layers <count>', 'layers of the transformer', wholeNumber(1, 256), 4)
      .option('--heads <count>', 'attention heads', wholeNumber(1, 256), 4)
      .optionsGroup('Model, from a file:')
      .option('--model <file>', 'train this ONNX model (see `murmur model show`) instead'),
  );

const withSteps = (command: Command): Command =>
  command
    .optionsGroup('Inner steps:')
    .option('--steps <count>', 'inner steps of a peer per round', wholeNumber(1, 100_000), runDefaults.steps)
    .option(
      '--overlap <count>',
      'inner steps while a contribution is being certified',
      wholeNumber(0, 100_000),
      runDefaults.overlapSteps,
    )
    .option('--batch <count>', 'samples per micro-batch', wholeNumber(1, 65_536), runDefaults.batch)
    .option('--context <tokens>', 'tokens per sample of text', wholeNumber(2, 65_536), 128)
    .option(
      '--accumulate <count>',
      'micro-batches per inner step',
      wholeNumber(1, 1_024),
      runDefaults.inner.accumulate,
    )
    .addOption(
      new Option('--optimizer <name>', 'adamw, sgd with momentum, or muon for matrices')
        .choices(Object.keys(optimizers))
        .default('adamw'),
    )
    .option(
      '--learning-rate <value>',
      'peak learning rate',
      decimalNumber(1e-9, 10),
      runDefaults.inner.learningRate,
    )
    .option(
      '--weight-decay <value>',
      'decoupled weight decay',
      decimalNumber(0, 10),
      runDefaults.inner.weightDecay,
    )
    .option(
      '--clip <norm>',
      "largest norm of a step's gradient",
      decimalNumber(1e-9, 1e9),
      runDefaults.inner.clipNorm,
    )
    .addOption(
      new Option('--schedule <name>', 'of the learning rate, after a warm-up')
        .choices(['constant', 'cosine', 'wsd'])
        .default('cosine'),
    )
    .option(
      '--decay-rounds <count>',
      'rounds of the decay at the end of --schedule wsd (default: a fifth)',
      wholeNumber(1, 2 ** 31),
    );

/** How much of a round's work is sent, and how long others wait for it. */
const withRounds = (command: Command): Command =>
  command
    .optionsGroup('Rounds:')
    .option('--k <count>', 'values sent of every 4,096', wholeNumber(1, 1_024), runDefaults.k)
    .option(
      '--k-min <count>',
      `values that a peer with a slow uplink sends at least (default: ${runDefaults.kMin}, at most --k)`,
      wholeNumber(1, 1_024),
    )
    .addOption(
      new Option('--bits <count>', 'bits per sent value')
        .choices(Object.keys(bitsOf))
        .default(`${runDefaults.bits}`),
    )
    .option(
      '--grace <seconds>',
      'how long a round waits for a member that contributed lately',
      decimalNumber(0, 86_400),
      runDefaults.graceMs / second,
    )
    .option(
      '--view-timeout <seconds>',
      'how long the members wait for a proposer',
      decimalNumber(0.05, 86_400),
      runDefaults.viewTimeoutMs / second,
    )
    .option(
      '--earned-after <rounds>',
      `a guest may become a member once it is in so many certified rounds; 0: by invitation only (default: ${earnedAfter})`,
      wholeNumber(0, 1_000_000),
    )
    .option(
      '--silent-after <rounds>',
      `a member retires that was in none of so many rounds; 0: never (default: ${silentAfter})`,
      wholeNumber(0, 1_000_000),
    )
    .option(
      '--stall <seconds>',
      `the survivors may go on without a quorum when nothing was certified for so long; 0: never (default: ${stallMs / second})`,
      decimalNumber(0, 2_000_000),
    )
    .option(
      '--voters <count>',
      'with more members than this a committee of so many votes, another one after each change',
      wholeNumber(1, 128),
      votersMax,
    );

export function addInit(program: Command): void {
  withRounds(withSteps(withModel(withRun(program.command('init')))))
    .description('found a run: write its settings into a new folder and print its link')
    .addHelpText(
      'after',
      `
Example:
  murmur init --store my-run --address /ip4/203.0.113.7/tcp/4150
  murmur start --store my-run --listen /ip4/0.0.0.0/tcp/4150 --data ~/texts
  murmur init --store lora --model gpt2.onnx --samples text --loss cross-entropy --train lora:r=8,targets=c_attn
  murmur init --store photos --model resnet18.onnx --loss cross-entropy
  murmur init --store closed --earned-after 0      members by invitation only

The settings are the run's identity: to change one is to found another run.`,
    )
    .action(initRun);
}

function scheduleOf(options: InitOptions): InnerSettings['schedule'] {
  const { floor } = runDefaults.inner.schedule;
  switch (options.schedule) {
    case 'constant':
      return { kind: 'constant' };
    case 'cosine':
      return { kind: 'cosine', floor };
    case 'wsd':
      return {
        kind: 'wsd',
        floor,
        decayRounds: options.decayRounds ?? Math.max(1, Math.round(options.rounds / 5)),
      };
  }
}

/** Options that say nothing about what was chosen, each with what it needs. */
const idleOptions: readonly {
  readonly names: readonly string[];
  readonly needs: string;
  idle(options: InitOptions): boolean;
}[] = [
  {
    names: ['width', 'layers', 'heads'],
    needs: 'a fresh transformer, not --model',
    idle: ({ model }) => model !== undefined,
  },
  {
    names: ['context'],
    needs: '--samples text',
    idle: ({ model, samples }) => model !== undefined && samples !== 'text',
  },
  {
    names: ['earnedAfter', 'silentAfter', 'stall'],
    needs: '--quorum crash: elsewhere nobody is admitted or retired without a signature',
    idle: ({ quorum }) => quorum !== 'crash',
  },
  { names: ['decayRounds'], needs: '--schedule wsd', idle: ({ schedule }) => schedule !== 'wsd' },
];

function refuseIdleOptions(options: InitOptions, command: Command): void {
  for (const { names, needs, idle } of idleOptions) {
    const given = idle(options) && names.find((name) => command.getOptionValueSource(name) === 'cli');
    const flag = command.options.find((option) => option.attributeName() === given)?.long;
    if (flag) throw new CliError(`${flag}: expected together with ${needs}`, { code: 'bad-option' });
  }
}

function membershipOf({ voters, ...chosen }: InitOptions): Partial<RunConfigInput['membership']> {
  return {
    votersMax: voters,
    ...(chosen.earnedAfter === undefined ? {} : { earnedAfter: chosen.earnedAfter }),
    ...(chosen.silentAfter === undefined ? {} : { silentAfter: chosen.silentAfter }),
    ...(chosen.stall === undefined ? {} : { stallMs: Math.round(chosen.stall * second) }),
  };
}

/** What a run is made of, as the command line says it. */
const runOptions = (
  options: InitOptions,
  self: PeerId,
  model: RunOptions['model'],
  nonce: string,
): RunOptions => ({
  name: options.name,
  nonce,
  founders: [self, ...((options.founder ?? []) as PeerId[])],
  quorum: options.quorum,
  rounds: options.rounds,
  steps: options.steps,
  overlapSteps: options.overlap,
  batch: options.batch,
  inner: {
    optimizer: optimizers[options.optimizer],
    learningRate: options.learningRate,
    weightDecay: options.weightDecay,
    clipNorm: options.clip,
    schedule: scheduleOf(options),
    accumulate: options.accumulate,
  },
  model,
  k: options.k,
  ...(options.kMin === undefined ? {} : { kMin: options.kMin }),
  bits: bitsOf[options.bits],
  graceMs: Math.round(options.grace * second),
  viewTimeoutMs: Math.round(options.viewTimeout * second),
  membership: membershipOf(options),
});

/** Says what was founded, and what comes next. */
function print(
  { run, runId }: CreatedRun,
  { name, store, json, address = [] }: InitOptions,
  { self, link, tied }: { readonly self: PeerId; readonly link: string; readonly tied: readonly Tie[] },
): void {
  const { parameters } = run.initial;
  if (json) {
    console.log(JSON.stringify({ runId, link, peer: self, parameters, tied }));
    return;
  }
  const samples = run.data.kind === 'text' ? 'folder of text' : 'folder of .npy files';
  console.log(
    `run          ${name} (${parameters.toLocaleString('en')} parameters, ${run.rounds} rounds)\n` +
      tied.map((tie) => `${printable(tieText(tie))}\n`).join('') +
      `id           ${runId}\nthis peer    ${self}\nlink         ${link}\n\n` +
      `Next: npm run murmur -- start --store ${store} --data <${samples}>` +
      (address.length === 0
        ? '\n(`murmur start` prints the addresses that belong into the link as ?peer=…)'
        : ''),
  );
}

async function initRun(options: InitOptions, command: Command): Promise<void> {
  refuseIdleOptions(options, command);
  for (const founder of options.founder ?? []) publicKeyOf(founder);
  const { chooseModel } = await import('../run-model.ts');
  const { createRun, freshNonce, storeRun } = await import('@murmuration/peer');
  const { model, tied } = chooseModel(options);
  const store = openStore({ directory: options.store });
  try {
    if (store.runId)
      throw new CliError(`${options.store} belongs to run ${store.runId} already: choose another --store`, {
        code: 'store-exists',
      });
    const { peer } = store.identity;
    const created = createRun(runOptions(options, peer, model, freshNonce()));
    const peers = (options.address ?? []).map((address) => `${address}/p2p/${peer}`);
    const link = formatRunLink({ runId: created.runId, peers });
    await storeRun(store, created);
    print(created, options, { self: peer, link, tied });
  } finally {
    store.close();
  }
}
