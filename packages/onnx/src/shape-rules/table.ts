import { microsoft, type Node } from '../model.ts';
import { controlRules } from './control.ts';
import { elementwise, elementwiseRules, same } from './elementwise.ts';
import { indexingRules } from './indexing.ts';
import { layoutRules } from './layout.ts';
import { makingRules } from './making.ts';
import { microsoftNormalizationRules, normalizationRules } from './normalization.ts';
import { microsoftProductRules, productRules } from './products.ts';
import { reductionRules } from './reduction.ts';
import { resizeRules } from './resize.ts';
import type { ShapeRule, ShapeRules } from './rule.ts';
import { microsoftSequenceRules, sequenceRules } from './sequence.ts';
import { microsoftWindowRules, windowRules } from './windows.ts';

/** Shape rules by domain and operator. */
export const shapeRules: Readonly<Record<string, ShapeRules>> = {
  '': {
    ...elementwiseRules,
    ...productRules,
    ...layoutRules,
    ...indexingRules,
    ...reductionRules,
    ...windowRules,
    ...resizeRules,
    ...normalizationRules,
    ...sequenceRules,
    ...makingRules,
    ...controlRules,
  },
  [microsoft]: {
    ...microsoftProductRules,
    ...microsoftWindowRules,
    ...microsoftNormalizationRules,
    ...microsoftSequenceRules,
    Gelu: same,
    FastGelu: same,
    QuickGelu: same,
    BiasGelu: elementwise,
  },
};

/** The rule for a node's operator, if there is one; the two domains have no operator in common that differs. */
export function shapeRuleOf({ domain, operator }: Node): ShapeRule | undefined {
  if (!Object.hasOwn(shapeRules, domain)) return undefined;
  const rules = [shapeRules[domain], ...Object.values(shapeRules)].find(
    (each) => each && Object.hasOwn(each, operator),
  );
  return rules?.[operator];
}
