import type { LossSettings, Trainable, TrainingRequest } from '@murmuration/autodiff';
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
      'output[:NAME] (default: the scalar output), or a loss put on an output: cross-entropy[:smoothing=,ignore=,axis=,output=,mask], mse, bce',
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
    .option(
      '--targets <input>',
      'with --samples text: the input that takes the next tokens, if there is one',
    );

/** The first of these options that was given. */
export const strayOption = (options: TrainingOptions): string | undefined =>
  (['samples', 'loss', 'train', 'mode', 'tokens', 'targets'] as const).find(
    (option) => options[option] !== undefined,
  );

/** What to ask of a file. Throws `CliError` `bad-option` for options that contradict each other. */
export function trainingRequest(options: TrainingOptions): TrainingRequest {
  const { samples, loss = { kind: 'output' }, train = { kind: 'all' }, mode, tokens, targets } = options;
  if (samples !== 'text' && (tokens !== undefined || targets !== undefined))
    throw new CliError('--tokens, --targets: expected together with --samples text', { code: 'bad-option' });
  return {
    loss,
    trains: train,
    ...(samples === 'text' && { text: { ...(tokens && { tokens }), ...(targets && { targets }) } }),
    ...(mode && { mode }),
  };
}
