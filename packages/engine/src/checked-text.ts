import { EngineError } from './errors.ts';
import type { EvaluationBatch, Inputs, RunData } from './samples.ts';
import type { ValueRules } from './value-rules.ts';

function check(inputs: Inputs, rules: ValueRules): void {
  for (const [input, { data }] of Object.entries(inputs)) {
    const rule = rules.get(input);
    const wrong = rule?.firstWrong(data, 0, data.length) ?? -1;
    if (rule && wrong >= 0)
      throw new EngineError(`text as ${input}: expected ${rule.expected}, got ${data[wrong]}`, {
        code: 'bad-samples',
        input,
      });
  }
}

function* checkedBatches(batches: Iterable<EvaluationBatch>, rules: ValueRules): Generator<EvaluationBatch> {
  for (const batch of batches) {
    check(batch.inputs, rules);
    yield batch;
  }
}

/** The same samples, each checked on its way into the graph, which throws `EngineError` `bad-samples`. */
export const withCheckedText = (data: RunData, rules: ValueRules): RunData => ({
  sampleShapes: data.sampleShapes,
  source(order) {
    const source = data.source(order);
    return {
      get position() {
        return source.position;
      },
      fill(inputs) {
        source.fill(inputs);
        check(inputs, rules);
      },
    };
  },
  batches: (request) => checkedBatches(data.batches(request), rules),
});
