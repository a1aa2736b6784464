import { canonicalOpset, completeOpset } from './defaults.ts';
import type { Model } from './model.ts';
import { allNodes } from './subgraphs.ts';

/**
 * Operators without a CPU kernel in their form of opset 22. It differs from the form before in one point: it takes
 * bfloat16 too.
 */
const withoutNewKernel: ReadonlySet<string> = new Set([
  ...['Bernoulli', 'GlobalLpPool', 'MaxRoiPool', 'Multinomial', 'RoiAlign'],
  ...['RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike'],
]);

/** Operators that opset 21 does not have. */
const newOperators: ReadonlySet<string> = new Set(['Attention', 'RMSNormalization', 'RotaryEmbedding']);

/**
 * A model of the canonical form, labelled with the opset in which onnxruntime runs it: 23, or 21 where one of its
 * operators has no kernel in opset 22 and none is newer than 21. Between 21 and 23 no operator changed its meaning, so
 * that the nodes stay as they are.
 */
export function withRunnableOpset(model: Model): Model {
  const operators = allNodes(model).flatMap(({ domain, operator }) => (domain === '' ? [operator] : []));
  const needsOld = operators.some((operator) => withoutNewKernel.has(operator));
  const needsNew = operators.some((operator) => newOperators.has(operator));
  const opset = needsOld && !needsNew ? completeOpset : canonicalOpset;
  return model.opsets[''] === opset ? model : { ...model, opsets: { ...model.opsets, '': opset } };
}
