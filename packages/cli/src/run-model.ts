import { type LossSettings, prepareTraining, type Trainable } from '@murmuration/autodiff';
import { readModelFile } from '@murmuration/engine';
import { type RunModel, textModel } from '@murmuration/peer';
import { CliError } from './errors.ts';

/** What `murmur init` says about the model: a file, or the sizes of a fresh transformer. */
export interface ModelOptions {
  readonly model?: string;
  readonly samples?: 'text' | 'arrays';
  readonly loss?: LossSettings;
  readonly train?: Trainable;
  readonly tokens?: string;
  readonly targets?: string;
  readonly context: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
}

/** Tokens of text as bytes, and four marks. */
const vocabulary = 260;

/** The model that a new run trains. Throws `CliError` `bad-option`, and what reading and preparing a file throws. */
export function chooseModel(options: ModelOptions): RunModel {
  const { model, context, width, layers, heads } = options;
  if (model !== undefined) return fileModel(model, options);
  const stray = (['samples', 'loss', 'train', 'tokens', 'targets'] as const).find(
    (option) => options[option] !== undefined,
  );
  if (stray) throw new CliError(`--${stray}: expected together with --model FILE`, { code: 'bad-option' });
  if (width % heads !== 0)
    throw new CliError(`--heads: expected a divisor of the width ${width}, got ${heads}`, {
      code: 'bad-option',
    });
  return textModel({ vocabulary, context, width, layers, heads });
}

function fileModel(path: string, options: ModelOptions): RunModel {
  const { samples = 'arrays', loss = { kind: 'output' }, train = { kind: 'all' }, tokens, targets } = options;
  const text = samples === 'text' ? { ...(tokens && { tokens }), ...(targets && { targets }) } : undefined;
  if (!text && (tokens !== undefined || targets !== undefined))
    throw new CliError('--tokens, --targets: expected together with --samples text', { code: 'bad-option' });
  const prepared = prepareTraining(readModelFile(path), { loss, trains: train, ...(text && { text }) });
  return {
    graph: prepared.model,
    ...(prepared.parameters.length > 0 && { parameters: prepared.parameters }),
    ...(prepared.frozen.length > 0 && { frozen: prepared.frozen }),
    data: text ? { kind: 'text', tokenizer: 'bytes', context: options.context } : { kind: 'arrays' },
  };
}
