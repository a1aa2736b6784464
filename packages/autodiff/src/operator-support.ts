/** What differentiation knows of each operator, and with it which operators a shared graph may have at all. */
import { allNodes, describeNode, type Model, microsoft, type Node } from '@murmuration/onnx';
import { AutodiffError } from './errors.ts';
import { lowerings } from './lowerings/table.ts';
import { operatorKey } from './passes/lower-operators.ts';
import { gradientRules, withoutGradient } from './rules/table.ts';

/**
 * `rule`: there is a gradient, by a rule or by smaller operators. `none`: there is none by nature. `unsupported`: the
 * operator is standard, and may stand where no gradient is wanted. `foreign`: not known here.
 */
export type OperatorSupport = 'rule' | 'none' | 'unsupported' | 'foreign';

/** Names under which the newest operator set knows what older ones call otherwise. */
const replaced: ReadonlyMap<string, string> = new Map([
  ['Scatter', 'ScatterElements'],
  ['Upsample', 'Resize'],
]);

/** Standard operators that compute on tensors, and that no rule covers. */
const standard: ReadonlySet<string> = new Set([
  ...['If', 'DequantizeLinear', 'STFT', 'RoiAlign', 'MaxRoiPool', 'DeformConv'],
]);

/** What is known of an operator in its newest form; `domain` is empty for ONNX's own. */
export function operatorSupport({ operator, domain }: Pick<Node, 'operator' | 'domain'>): OperatorSupport {
  if (domain !== '' && domain !== microsoft) return 'foreign';
  const name = replaced.get(operator) ?? operator;
  const key = operatorKey({ operator: name, domain } as Node);
  if (Object.hasOwn(lowerings, key) || Object.hasOwn(gradientRules, name)) return 'rule';
  if (domain !== '') return 'foreign';
  if (withoutGradient.has(name)) return 'none';
  return standard.has(name) ? 'unsupported' : 'foreign';
}

/**
 * A graph that came from somebody else is data and nothing more: every operator, also inside nested graphs, is on the
 * list. Throws `AutodiffError` `foreign-operator` for the first that is not.
 */
export function checkOperators(model: Model): void {
  const foreign = allNodes(model).find((node) => operatorSupport(node) === 'foreign');
  if (foreign)
    throw new AutodiffError(
      `${describeNode(foreign)}: expected an operator that murmur knows, got ${operatorKey(foreign)}; ` +
        'a shared graph has no others',
      { code: 'foreign-operator', node: foreign.name, operator: foreign.operator, domain: foreign.domain },
    );
}
