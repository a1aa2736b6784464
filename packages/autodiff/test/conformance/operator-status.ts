import { lowerings } from '../../src/lowerings/table.ts';
import { gradientRules, withoutGradient } from '../../src/rules/table.ts';

/** What differentiation does with an operator of ONNX's own domain in its newest form. */
export type OperatorStatus = 'rule' | 'none' | 'unsupported';

/** Operators that upgrading replaces by others, or that contain the operators that count. */
const replaced: Readonly<Record<string, string>> = {
  Scatter: 'ScatterElements',
  Upsample: 'Resize',
};

/** Status by the tables of gradient rules, lowerings and operators without a gradient. */
export function statusOf(operator: string): OperatorStatus {
  const name = replaced[operator] ?? operator;
  if (Object.hasOwn(gradientRules, name) || Object.hasOwn(lowerings, name)) return 'rule';
  return withoutGradient.has(name) ? 'none' : 'unsupported';
}
