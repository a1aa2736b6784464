/**
 * Reverse-mode differentiation of ONNX graphs: `differentiate(model, { loss, parameters })` appends the backward
 * graph, by one table of gradient rules, and returns a model with outputs `loss` and `gradient:<parameter>`.
 *
 * @example
 * const model = gpt({ vocabulary: 260, context: 128, width: 128, layers: 4, heads: 4 });
 * const parameters = parametersOf(model).map(({ name }) => name);
 * const training = differentiate(model, { loss: 'loss', parameters });
 */
export {
  type CheckedGradient,
  type CheckGradientsOptions,
  checkGradients,
  type RunModel,
} from './check-gradients.ts';
export { type DifferentiateRequest, differentiate, gradientName } from './differentiate.ts';
export { AutodiffError } from './errors.ts';
export type { GradientRule, GradientRules, RuleContext } from './rules/rule.ts';
export { gradientRules, withoutGradient } from './rules/table.ts';
