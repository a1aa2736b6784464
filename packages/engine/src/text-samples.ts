import { createSampler, evaluationWindows, type TokenArray, type TokenStream } from '@murmuration/data';
import { type Corpus, readCorpus, readWholeText } from './corpus.ts';
import { EngineError } from './errors.ts';
import type { EvaluationBatch, EvaluationRequest, InputValues, RunData } from './samples.ts';

const tensor = (data: BigInt64Array, shape: readonly number[]): InputValues => ({
  type: 'int64',
  shape,
  data,
});

function* batchesOf(
  stream: TokenStream,
  context: number,
  { batch, bytesMax }: EvaluationRequest,
): Generator<EvaluationBatch> {
  const options = { context, batch, ...(bytesMax === undefined ? {} : { bytesMax }) };
  for (const { tokens, targets, rows, columns, bytes } of evaluationWindows(stream, options)) {
    const shape = [rows, columns];
    const inputs = { tokens: tensor(tokens, shape), targets: tensor(targets, shape) };
    yield { inputs, weight: rows * columns, bytes };
  }
}

/**
 * Windows of `context` tokens of text, as inputs `tokens` and `targets`, the tokens that follow. The split's seed is
 * the run's. Throws as `readCorpus`.
 */
export function readTextData(init: {
  readonly paths: readonly string[];
  readonly splitSeed: string;
  readonly context: number;
  readonly batch: number;
}): RunData {
  const { paths, splitSeed, context, batch } = init;
  const corpus: Corpus | undefined = paths.length > 0 ? readCorpus(paths, splitSeed, context) : undefined;

  function streamOf({ data, part }: EvaluationRequest): TokenStream {
    const from = data ?? paths;
    if (from.length === 0)
      throw new EngineError('expected data to evaluate on, got none', { code: 'no-data' });
    if (part === 'all') return readWholeText(from);
    return corpus && !data ? corpus.heldOut : readCorpus(from, splitSeed, 1).heldOut;
  }

  return {
    sampleShapes: corpus && { tokens: [context], targets: [context] },
    source({ seed, position }) {
      if (!corpus) throw new EngineError('expected data to train on, got none', { code: 'no-data' });
      const spare = new BigInt64Array(batch * context);
      const sampler = createSampler(corpus.training, { context, batch, seed, position });
      return {
        get position() {
          return sampler.position;
        },
        fill({ tokens, targets }) {
          sampler.fill((tokens?.data ?? spare) as TokenArray, (targets?.data ?? spare) as TokenArray);
        },
      };
    },
    batches: (request) => batchesOf(streamOf(request), context, request),
  };
}
