import { prepareTraining } from '@murmuration/autodiff';
import { readModelFile } from '@murmuration/engine';
import { type RunModel, textModel } from '@murmuration/peer';
import { strayOption, type TrainingOptions, trainingRequest } from './commands/training-options.ts';
import { CliError } from './errors.ts';

/** What `murmur init` says about the model: a file, or the sizes of a fresh transformer. */
export interface ModelOptions extends TrainingOptions {
  readonly model?: string;
  readonly context: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
}

/** Bytes, and four marks. */
const vocabulary = 260;

function fileModel(path: string, options: ModelOptions): RunModel {
  const request = trainingRequest(options);
  const prepared = prepareTraining(readModelFile(path), request);
  return {
    graph: prepared.model,
    ...(prepared.parameters.length > 0 && { parameters: prepared.parameters }),
    ...(prepared.frozen.length > 0 && { frozen: prepared.frozen }),
    data: request.text ? { kind: 'text', tokenizer: 'bytes', context: options.context } : { kind: 'arrays' },
  };
}

/** The model that a new run trains. Throws `CliError` `bad-option`, and what reading and preparing a file throws. */
export function chooseModel(options: ModelOptions): RunModel {
  const { model, context, width, layers, heads } = options;
  if (model !== undefined) return fileModel(model, options);
  const stray = strayOption(options);
  if (stray) throw new CliError(`--${stray}: expected together with --model FILE`, { code: 'bad-option' });
  if (width % heads !== 0)
    throw new CliError(`--heads: expected a divisor of the width ${width}, got ${heads}`, {
      code: 'bad-option',
    });
  return textModel({ vocabulary, context, width, layers, heads });
}
