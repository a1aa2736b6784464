/**
 * What a model is fed with. `RunData` is what a peer has: it tells the shape of a sample, gives a source of training
 * samples, and batches to evaluate on. Text (`text-samples.ts`) and arrays (`array-samples.ts`) implement it.
 */
import type { ArrayType } from '@murmuration/data';
import type { ValueInfo } from '@murmuration/onnx';
import { inputValuesMax } from './defaults.ts';
import { EngineError } from './errors.ts';

/** Values of an input, row-major; bool is 0 or 1 in bytes. */
export type InputArray = Float32Array | BigInt64Array | Int32Array | Uint8Array;

/** One input's values with their shape; the first dimension counts the samples. */
export interface InputValues {
  readonly type: ArrayType;
  readonly shape: readonly number[];
  readonly data: InputArray;
}

/** Values by input name. */
export type Inputs = Readonly<Record<string, InputValues>>;

/** Gives training samples without end. */
export interface SampleSource {
  /** Samples given so far: all that must be kept to go on after a restart. */
  readonly position: number;
  /** Overwrites the values of a program's inputs with the next samples. */
  fill(inputs: Inputs): void;
}

/** Samples to measure the loss on. */
export interface EvaluationBatch {
  readonly inputs: Inputs;
  /** What the mean loss of the batch is weighted by: tokens of text, samples of arrays. */
  readonly weight: number;
  /** Bytes of text that are predicted; of arrays, bytes read. */
  readonly bytes: number;
}

/** Which samples to measure on: as `Engine.evaluate`. */
export interface EvaluationRequest {
  readonly data: readonly string[] | undefined;
  readonly part: 'held-out' | 'all';
  readonly batch: number;
  readonly bytesMax: number | undefined;
}

/** What a run's samples are read from. */
export interface RunData {
  /** Sizes of one sample without the batch, by input; absent when there is nothing to train on. */
  readonly sampleShapes: Readonly<Record<string, readonly number[]>> | undefined;
  /** Where the training samples come from, in the order that the seed decides. */
  source(order: { readonly seed: string; readonly position: number }): SampleSource;
  /** What is open for it is closed at its end. Throws `EngineError` `no-data`, or as reading does. */
  batches(request: EvaluationRequest): Iterable<EvaluationBatch>;
}

const arrayTypes: Readonly<Record<ArrayType, (length: number) => InputArray>> = {
  float32: (length) => new Float32Array(length),
  int64: (length) => new BigInt64Array(length),
  int32: (length) => new Int32Array(length),
  uint8: (length) => new Uint8Array(length),
  bool: (length) => new Uint8Array(length),
};

/** Whether values of a graph's type can be fed. */
export const isArrayType = (type: string): type is ArrayType => Object.hasOwn(arrayTypes, type);

/** Zeros for an input of a type and shape. Throws `EngineError` `bad-samples` for more values than `inputValuesMax`. */
export function createInput(type: ArrayType, shape: readonly number[]): InputValues {
  const length = shape.reduce((product, size) => product * size, 1);
  if (!(length <= inputValuesMax))
    throw new EngineError(`expected at most ${inputValuesMax} values of an input, got [${shape}]`, {
      code: 'bad-samples',
      shape,
    });
  return { type, shape, data: arrayTypes[type](length) };
}

/** Inputs as declared, with numbers for their symbols. */
export interface SizedInputs {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** The number of each symbol. */
  readonly sizes: Readonly<Record<string, number>>;
}

/**
 * Gives a model's data inputs the shapes [batch, …sample]. Throws `EngineError` `bad-samples` for an input without
 * samples, a declared shape that differs, or a symbol that stands for two sizes.
 */
export function sizeInputs(
  declared: readonly ValueInfo[],
  batch: number,
  sampleShapes: Readonly<Record<string, readonly number[]>>,
): SizedInputs {
  const sizes: Record<string, number> = {};
  const shapes = declared.map(({ name, shape }): [string, readonly number[]] => {
    const bad = (expected: string, got: string): never => {
      throw new EngineError(`input ${name}: expected ${expected}, got ${got}`, {
        code: 'bad-samples',
        input: name,
      });
    };
    const sample = Object.hasOwn(sampleShapes, name) ? sampleShapes[name] : undefined;
    if (!sample) return bad('samples of that name', `${Object.keys(sampleShapes).join(', ') || 'none'}`);
    const actual = [batch, ...sample];
    if (shape && shape.length !== actual.length) bad(`samples for the shape [${shape}]`, `[${actual}]`);
    shape?.forEach((dimension, axis) => {
      const size = actual[axis] as number;
      const wanted = typeof dimension === 'number' ? dimension : (sizes[dimension] ?? size);
      if (wanted !== size) bad(`${wanted} as dimension ${axis} of [${shape}]`, `${size} in [${actual}]`);
      if (typeof dimension === 'string' && dimension !== '?') sizes[dimension] = size;
    });
    return [name, actual];
  });
  return { shapes: Object.fromEntries(shapes), sizes };
}
