import { readArrayData } from './array-samples.ts';
import { withCheckedText } from './checked-text.ts';
import type { ChildInit } from './messages.ts';
import type { RunModel } from './model.ts';
import type { RunData } from './samples.ts';
import { readTextData } from './text-samples.ts';
import { valueRulesOf } from './value-rules.ts';

/** An engine's own data, as its run wants it: every value is checked. Throws `EngineError` as `createEngine` says. */
export function readRunData({ data: paths, runId: splitSeed, run }: ChildInit, runModel: RunModel): RunData {
  const { batch, data } = run;
  const rules = valueRulesOf(runModel);
  return data.kind === 'text'
    ? withCheckedText(readTextData({ paths, splitSeed, batch, context: data.context }), rules)
    : readArrayData({ paths, splitSeed, batch, inputs: runModel.inputs, rules });
}
