import { readCases } from './cases.ts';
import { checkCase, isDifferentiable } from './check-case.ts';
import { runCase } from './run-case.ts';

/** What came of all official models. */
export interface ConformanceSummary {
  /** Models that onnxruntime ran. */
  readonly conformanceRun: number;
  /** Those that gave the stored outputs. */
  readonly conformanceEqual: number;
  /** Those whose gradients agree with central differences. */
  readonly gradientsChecked: number;
}

/** Runs every model, and checks the gradients of those that give the stored outputs. */
export async function runConformance(): Promise<ConformanceSummary> {
  const count = { conformanceRun: 0, conformanceEqual: 0, gradientsChecked: 0 };
  for (const stored of readCases()) {
    const { how } = await runCase(stored);
    if (how !== 'refused') count.conformanceRun++;
    if (how !== 'equal') continue;
    count.conformanceEqual++;
    if (isDifferentiable(stored) && (await checkCase(stored)).how === 'agrees') count.gradientsChecked++;
  }
  return count;
}
