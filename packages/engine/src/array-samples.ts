import { createRowSampler, DataError, type RowSplit, splitRows } from '@murmuration/data';
import type { ValueInfo } from '@murmuration/onnx';
import { type ArrayFile, openArrays } from './array-files.ts';
import { EngineError } from './errors.ts';
import {
  createInput,
  type EvaluationBatch,
  type EvaluationRequest,
  type Inputs,
  type RunData,
} from './samples.ts';
import type { ValueRules } from './value-rules.ts';

interface Arrays {
  readonly files: readonly ArrayFile[];
  readonly rows: number;
  readonly split: RowSplit;
}

function readRows(files: readonly ArrayFile[], rows: readonly number[], inputs: Inputs): void {
  for (const { input, sample, read } of files) {
    const values = inputs[input];
    const length = sample.reduce((product, size) => product * size, 1);
    if (values) for (const [index, row] of rows.entries()) read(row, values.data, index * length);
  }
}

/** Rows 0 … count − 1 of an order, in batches of whole rows; the last one may be smaller. */
function* batchesOf(
  { files }: Arrays,
  count: number,
  rowOf: (index: number) => number,
  { batch, bytesMax = Number.POSITIVE_INFINITY }: EvaluationRequest,
): Generator<EvaluationBatch> {
  const rowBytes = files.reduce((sum, file) => sum + file.rowBytes, 0);
  const rowsMax = Math.min(count, Math.max(1, Math.floor(bytesMax / rowBytes)));
  for (let start = 0; start < rowsMax; start += batch) {
    const length = Math.min(batch, rowsMax - start);
    const rows = Array.from({ length }, (_, index) => rowOf(start + index));
    const inputs = Object.fromEntries(
      files.map(({ input, type, sample }) => [input, createInput(type, [length, ...sample])]),
    );
    readRows(files, rows, inputs);
    yield { inputs, weight: length, bytes: length * rowBytes };
  }
}

const batchesFrom = (arrays: Arrays, request: EvaluationRequest): Generator<EvaluationBatch> =>
  request.part === 'all'
    ? batchesOf(arrays, arrays.rows, (index) => index, request)
    : batchesOf(arrays, arrays.split.heldOut, arrays.split.rowOf, request);

/**
 * Rows of the arrays in one folder, fed by input name. A tenth of the rows, chosen by the split's seed, is held out.
 * Values are checked by their rules: those to train on at once, as far as `scannedBytesMax`, and all when they are
 * read. Throws `EngineError` as `openArrays`, `bad-data-path` for more than one folder, `too-little-data`,
 * `bad-samples`.
 */
export function readArrayData(init: {
  readonly paths: readonly string[];
  readonly splitSeed: string;
  readonly batch: number;
  readonly inputs: readonly ValueInfo[];
  readonly rules?: ValueRules;
}): RunData {
  const { paths, splitSeed, batch, inputs, rules } = init;

  function open(folders: readonly string[]): Arrays {
    const [folder, ...more] = folders;
    if (folder === undefined)
      throw new EngineError('expected a folder of arrays, got none', { code: 'no-data' });
    if (more.length > 0)
      throw new EngineError(`data ${folders.join(', ')}: expected one folder of arrays`, {
        code: 'bad-data-path',
        folders,
      });
    const files = openArrays(folder, inputs, rules);
    const rows = files[0]?.rows ?? 0;
    try {
      return { files, rows, split: splitRows(rows, splitSeed) };
    } catch (error) {
      for (const file of files) file.close();
      if (!(error instanceof DataError)) throw error;
      throw new EngineError(
        `data ${folder}: ${error.message}`,
        { code: 'too-little-data', rows },
        { cause: error },
      );
    }
  }

  function openForTraining(): Arrays {
    const opened = open(paths);
    try {
      for (const file of opened.files) file.scan();
      return opened;
    } catch (error) {
      for (const file of opened.files) file.close();
      throw error;
    }
  }

  const arrays = paths.length > 0 ? openForTraining() : undefined;

  function* batchesOnce(folders: readonly string[], request: EvaluationRequest): Generator<EvaluationBatch> {
    const from = open(folders);
    try {
      yield* batchesFrom(from, request);
    } finally {
      for (const file of from.files) file.close();
    }
  }

  return {
    sampleShapes: arrays && Object.fromEntries(arrays.files.map(({ input, sample }) => [input, sample])),
    source({ seed, position }) {
      if (!arrays) throw new EngineError('expected data to train on, got none', { code: 'no-data' });
      const sampler = createRowSampler(arrays.split, { seed, position });
      return {
        get position() {
          return sampler.position;
        },
        fill(target) {
          const rows = Array.from({ length: batch }, () => sampler.next());
          readRows(arrays.files, rows, target);
        },
      };
    },
    batches(request) {
      if (request.data) return batchesOnce(request.data, request);
      if (!arrays) throw new EngineError('expected data to evaluate on, got none', { code: 'no-data' });
      return batchesFrom(arrays, request);
    },
  };
}
