import type { DeviceWish } from '@murmuration/engine';
import { type Command, InvalidArgumentError, Option } from 'commander';

/** As the engine names them, which is loaded only when it is needed. */
const devices = ['auto', 'cpu', 'cuda', 'webgpu', 'dml', 'coreml'] as const satisfies readonly DeviceWish[];

const defaultStore = 'murmuration-peer';

/** For commander: a whole number in [min, max]; its error names what was expected. */
export const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(
        `expected a whole number from ${min} to ${max}, got ${JSON.stringify(text)}`,
      );
    return value;
  };

/** The same for any number in [min, max]. */
export const decimalNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= min && value <= max))
      throw new InvalidArgumentError(`expected a number from ${min} to ${max}, got ${JSON.stringify(text)}`);
    return value;
  };

/** Collects an option that may be given several times. */
export const collect = (value: string, earlier: readonly string[] | undefined): string[] => [
  ...(earlier ?? []),
  value,
];

export const withStore = (command: Command): Command =>
  command.option(
    '-s, --store <folder>',
    'folder of this peer: its key, ledger, blobs, snapshots',
    defaultStore,
  );

export const withJson = (command: Command): Command =>
  command.option('--json', 'print JSON for scripts: one object per line', false);

/** Options of a running peer, shared by `join` and `start`. */
export const withPeerOptions = (command: Command): Command =>
  withJson(withStore(command))
    .option(
      '-d, --data <path>',
      'text file or folder to train on, or a folder of arrays; may be repeated; it never leaves this machine',
      collect,
    )
    .option(
      '--listen <multiaddr>',
      'address to listen on; may be repeated (default: any free TCP port)',
      collect,
    )
    .option('--threads <count>', 'threads of the engine (default: half of the cores)', wholeNumber(1, 256))
    .addOption(
      new Option(
        '--device <name>',
        'where to train; auto is the best device that starts (default: auto)',
      ).choices(devices),
    )
    .option(
      '--niceness <value>',
      'how far the engine gives way to other programs, 0 to 19',
      wholeNumber(0, 19),
    )
    .option(
      '--checkpoint-activations',
      'compute activations again in the backward pass: less memory, about a tenth slower',
      false,
    )
    .option('--archive', 'keep every delta, so that the ledger can be replayed from the first round')
    .option('--no-archive', 'let old deltas go (the default; the last choice is remembered)')
    .option('--observer', 'follow the run without training', false)
    .option('--no-mdns', 'do not look for peers on the local network')
    .option('--dht-client', 'only ask the DHT, as a peer that others cannot reach', false)
    .addOption(new Option('--while-stdin-open', 'stop when standard input ends').default(false).hideHelp());

export interface PeerOptions {
  readonly store: string;
  readonly json: boolean;
  readonly data?: string[];
  readonly listen?: string[];
  readonly threads?: number;
  readonly device?: DeviceWish;
  readonly checkpointActivations: boolean;
  readonly niceness?: number;
  readonly archive?: boolean;
  readonly observer: boolean;
  readonly mdns: boolean;
  readonly dhtClient: boolean;
  readonly whileStdinOpen: boolean;
}
