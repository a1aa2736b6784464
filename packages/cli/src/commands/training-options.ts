import type { LossSettings, Tie, Trainable, TrainingRequest } from '@murmuration/autodiff';
import { type Command, Option } from 'commander';
import { CliError } from '../errors.ts';
import { parseLoss, parseTrainable } from '../training-specs.ts';

/** What a command says about training a file. */
export interface TrainingOptions {
  readonly samples?: 'text' | 'arrays';
  readonly loss?: LossSettings;
  readonly train?: Trainable;
  readonly mode?: NonNullable<TrainingRequest['mode']>;
  readonly tokens?: string;
  readonly targets?: string;
  readonly tying: boolean;
}

/** Options of every command that makes a training model of an ONNX file. */
export const withTrainingOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--samples <kind>', 'what the model is trained on (default: arrays)').choices([
        'text',
        'arrays',
      ]),
    )
    .option(
      '--loss <loss>',
      'output[:NAME] (default: the scalar output), or a loss put on an output: ' +
        'cross-entropy[:smoothing=,ignore=,axis=,output=,mask], mse, bce',
      parseLoss,
    )
    .option('--train <what>', 'all (default), names:PATTERN,… or lora:r=8,targets=PATTERN,…', parseTrainable)
    .addOption(
      new Option(
        '--mode <mode>',
        'dropout and batch normalization while training (default: as-exported)',
      ).choices(['as-exported', 'training', 'inference']),
    )
    .option('--tokens <input>', 'with --samples text: the input that takes the tokens')
    .option('--targets <input>', 'with --samples text: the input that takes the next tokens, if there is one')
    .option('--no-tying', 'keep an output head that is a copy of the embedding as a weight of its own');

/** The first of these options that was given. */
export const strayOption = (options: TrainingOptions): string | undefined =>
  (['samples', 'loss', 'train', 'mode', 'tokens', 'targets'] as const).find(
    (option) => options[option] !== undefined,
  ) ?? (options.tying ? undefined : 'no-tying');

/** What is said of each weight that is one with another. */
export const tieText = ({ head, embedding }: Tie): string => `tied: ${head} = ${embedding}`;

/** What to ask of a file. Throws `CliError` `bad-option` for options that contradict each other. */
export function trainingRequest(options: TrainingOptions): TrainingRequest {
  const {
    samples,
    loss = { kind: 'output' },
    train = { kind: 'all' },
    mode,
    tokens,
    targets,
    tying,
  } = options;
  if (samples !== 'text' && (tokens !== undefined || targets !== undefined))
    throw new CliError('--tokens, --targets: expected together with --samples text', { code: 'bad-option' });
  return {
    loss,
    trains: train,
    tying,
    ...(samples === 'text' && { text: { ...(tokens && { tokens }), ...(targets && { targets }) } }),
    ...(mode && { mode }),
  };
}
