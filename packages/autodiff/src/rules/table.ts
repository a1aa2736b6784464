import { elementwiseRules } from './elementwise.ts';
import { layoutRules } from './layout.ts';
import { normalizationRules } from './normalization.ts';
import { productRules } from './products.ts';
import { reductionRules } from './reduction.ts';
import type { GradientRules } from './rule.ts';

/** One gradient rule per operator. */
export const gradientRules: GradientRules = {
  ...elementwiseRules,
  ...productRules,
  ...normalizationRules,
  ...layoutRules,
  ...reductionRules,
};

/**
 * Operators without a gradient by nature: their output is an integer or a truth value, depends on the input's shape
 * only, or is constant between jumps. What a parameter does through them is no part of the gradient.
 */
export const withoutGradient: ReadonlySet<string> = new Set([
  ...['Shape', 'Size', 'ConstantOfShape', 'Constant', 'Range', 'EyeLike', 'OneHot', 'NonZero'],
  ...['ArgMax', 'ArgMin', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'IsNaN', 'IsInf'],
  ...['And', 'Or', 'Xor', 'Not', 'Floor', 'Ceil', 'Round', 'Sign'],
  ...['RandomUniform', 'RandomUniformLike', 'RandomNormal', 'RandomNormalLike', 'Bernoulli', 'Multinomial'],
]);
