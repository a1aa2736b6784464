/**
 * From a forward graph to a training graph. `prepareTraining(file, { loss, trains })` makes the model that a run
 * shares: a loss put on, weights taken out. `differentiate(model, { loss, parameters })` appends the backward graph, by
 * one table of gradient rules, and returns a model with outputs `loss` and `gradient:<parameter>`. `exportModel` puts
 * trained weights back.
 *
 * @example
 * const model = gpt({ vocabulary: 260, context: 128, width: 128, layers: 4, heads: 4 });
 * const parameters = parametersOf(model).map(({ name }) => name);
 * const training = differentiate(model, { loss: 'loss', parameters });
 */
export { type CheckedDirections, checkDirections } from './check-directions.ts';
export {
  type CheckedGradient,
  type CheckGradientsOptions,
  checkGradients,
  type RunModel,
} from './check-gradients.ts';
export { type DifferentiateRequest, differentiate, gradientName } from './differentiate.ts';
export { AutodiffError } from './errors.ts';
export { estimateMemory, fixDimensions, type MemoryEstimate } from './estimate-memory.ts';
export { checkOperators, type OperatorSupport, operatorSupport } from './operator-support.ts';
export { maskDropout, type NoiseDeclaration, noiseOf } from './passes/mask-dropout.ts';
export { classesOf, type TargetClasses } from './prepare/classes.ts';
export { type ExportRequest, exportModel } from './prepare/export-model.ts';
export type { LossSettings } from './prepare/losses.ts';
export { type PreparedTraining, prepareTraining, type TrainingRequest } from './prepare/prepare-training.ts';
export type { InputFilling, TextInputs } from './prepare/text-inputs.ts';
export type { Tie } from './prepare/tie-weights.ts';
export type { Trainable } from './prepare/trainable.ts';
export { outsideTraining } from './prepare/training-mode.ts';
export { type FrozenWeight, frozenOf, type WithoutWeights } from './prepare/weights.ts';
export type { GradientRule, GradientRules, RuleContext } from './rules/rule.ts';
export { gradientRules, withoutGradient } from './rules/table.ts';
