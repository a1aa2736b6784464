import { fixDimensions, prepareTraining, type Tie } from '@murmuration/autodiff';
import { readModelFile } from '@murmuration/engine';
import { inferShapes, type Model, OnnxError } from '@murmuration/onnx';
import { type RunModel, textModel } from '@murmuration/peer';
import { strayOption, type TrainingOptions, trainingRequest } from './commands/training-options.ts';
import { CliError } from './errors.ts';

/** What `murmur init` says about the model: a file, or the sizes of a fresh transformer. */
export interface ModelOptions extends TrainingOptions {
  readonly model?: string;
  readonly batch: number;
  readonly context: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
}

/** Bytes, and four marks. */
const vocabulary = 260;

/** Whether a step's tokens fit: a file may have fixed its sizes, or know the position of so many tokens only. */
function checkTextSizes(model: Model, { batch, context }: ModelOptions): void {
  const bad = (option: string, expected: string, got: string | number): CliError =>
    new CliError(`--${option}: expected ${expected}, got ${got}`, { code: 'bad-option', option });
  const [rows, columns] = model.graph.inputs.find(({ name }) => name === 'tokens')?.shape ?? [];
  if (typeof rows === 'number' && rows !== batch) throw bad('batch', `${rows}, as the file's tokens`, batch);
  if (typeof columns === 'number' && columns !== context)
    throw bad('context', `${columns}, as the file's tokens`, context);
  try {
    inferShapes(fixDimensions(model, { batch, context }));
  } catch (error) {
    if (!(error instanceof OnnxError)) throw error;
    throw bad('context', 'as many tokens as the model takes', `${context}: ${error.message}`);
  }
}

/** A run's model, and the weights of its file that became one. */
export interface ChosenModel {
  readonly model: RunModel;
  readonly tied: readonly Tie[];
}

function fileModel(path: string, options: ModelOptions): ChosenModel {
  const request = trainingRequest(options);
  const prepared = prepareTraining(readModelFile(path), request);
  if (request.text) checkTextSizes(prepared.model, options);
  const model: RunModel = {
    graph: prepared.model,
    ...(prepared.parameters.length > 0 && { parameters: prepared.parameters }),
    ...(prepared.frozen.length > 0 && { frozen: prepared.frozen }),
    data: request.text ? { kind: 'text', tokenizer: 'bytes', context: options.context } : { kind: 'arrays' },
  };
  return { model, tied: prepared.tied };
}

/** The model that a new run trains. Throws `CliError` `bad-option`, and what reading and preparing a file throws. */
export function chooseModel(options: ModelOptions): ChosenModel {
  const { model, context, width, layers, heads } = options;
  if (model !== undefined) return fileModel(model, options);
  const stray = strayOption(options);
  if (stray) throw new CliError(`--${stray}: expected together with --model FILE`, { code: 'bad-option' });
  if (width % heads !== 0)
    throw new CliError(`--heads: expected a divisor of the width ${width}, got ${heads}`, {
      code: 'bad-option',
    });
  return { model: textModel({ vocabulary, context, width, layers, heads }), tied: [] };
}
