import type { TargetClasses } from '@murmuration/autodiff';
import { EngineError } from './errors.ts';
import type { EvaluationBatch, Inputs, RunData } from './samples.ts';

/**
 * Throws `EngineError` `bad-samples` for a target that is no class. A graph would not always notice: it takes negative
 * ones for classes counted from the end.
 */
function checkTargets({ targets }: Inputs, classes: TargetClasses): void {
  if (!(targets?.data instanceof BigInt64Array)) return;
  const count = BigInt(classes.count);
  const ignore = classes.ignore === undefined ? undefined : BigInt(classes.ignore);
  const wrong = targets.data.find((target) => (target < 0n || target >= count) && target !== ignore);
  if (wrong !== undefined)
    throw new EngineError(
      `targets: expected classes from 0 to ${classes.count - 1}${ignore === undefined ? '' : `, or ${ignore}, which does not count`}, got ${wrong}`,
      { code: 'bad-samples', input: 'targets' },
    );
}

function* checkedBatches(
  batches: Iterable<EvaluationBatch>,
  classes: TargetClasses,
): Generator<EvaluationBatch> {
  for (const batch of batches) {
    checkTargets(batch.inputs, classes);
    yield batch;
  }
}

/** The same samples, each checked on its way into the graph. */
export function withCheckedTargets(data: RunData, classes: TargetClasses | undefined): RunData {
  if (!classes) return data;
  return {
    sampleShapes: data.sampleShapes,
    source(order) {
      const source = data.source(order);
      return {
        get position() {
          return source.position;
        },
        fill(inputs) {
          source.fill(inputs);
          checkTargets(inputs, classes);
        },
      };
    },
    batches: (request) => checkedBatches(data.batches(request), classes),
  };
}
