import { readFileSync } from 'node:fs';
import { lowerings } from '../../src/lowerings/table.ts';
import { gradientRules, withoutGradient } from '../../src/rules/table.ts';

/**
 * What differentiation does with an operator: it has a rule; it is taken apart into operators that have one; upgrading
 * or simplifying a model replaces it; it has no gradient by nature; it is not supported.
 */
export type OperatorStatus = 'rule' | 'lowered' | 'replaced' | 'none' | 'unsupported';

/** One operator as the official package lists it. */
export interface OperatorHistory {
  /** The operator sets that introduced or changed it. */
  readonly opsets: readonly number[];
  /** The operator set that took it out. */
  readonly deprecated?: number;
}

/** The operators of ONNX's own domain, by name. */
export const history: Readonly<Record<string, OperatorHistory>> = JSON.parse(
  readFileSync(new URL('fixtures/operators.json', import.meta.url), 'utf8'),
) as Record<string, OperatorHistory>;

/** Operators that are gone before rules are asked, and what takes their place. */
export const replacements: Readonly<Record<string, string>> = {
  If: 'by its branch, where the condition is constant',
  Loop: 'by its turns, where their number is constant',
  Scatter: 'by ScatterElements',
  Upsample: 'by Resize',
};

/** Status by the tables of gradient rules, lowerings and operators without a gradient. */
export function statusOf(operator: string): OperatorStatus {
  if (Object.hasOwn(gradientRules, operator)) return 'rule';
  if (Object.hasOwn(lowerings, operator)) return 'lowered';
  if (Object.hasOwn(replacements, operator)) return 'replaced';
  return withoutGradient.has(operator) ? 'none' : 'unsupported';
}

const domainPrefix = 'com.microsoft:';

/** onnxruntime's own operators that have a rule or a lowering, by name. */
export const runtimeOperators: readonly string[] = [
  ...Object.keys(gradientRules).filter((operator) => !Object.hasOwn(history, operator)),
  ...Object.keys(lowerings).flatMap((key) =>
    key.startsWith(domainPrefix)
      ? [key.slice(domainPrefix.length)]
      : Object.hasOwn(history, key) || Object.hasOwn(gradientRules, key)
        ? []
        : [key],
  ),
].sort();

/** Status of one of onnxruntime's own operators. */
export const runtimeStatusOf = (operator: string): OperatorStatus =>
  Object.hasOwn(lowerings, `${domainPrefix}${operator}`) ? 'lowered' : statusOf(operator);
