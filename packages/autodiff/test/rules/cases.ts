import { activationCases } from './activation-cases.ts';
import { attentionCases } from './attention-cases.ts';
import { batchNormalizationCases } from './batch-normalization-cases.ts';
import { convolutionCases } from './convolution-cases.ts';
import { elementwiseCases } from './elementwise-cases.ts';
import { indexingCases } from './indexing-cases.ts';
import { layoutCases } from './layout-cases.ts';
import { lossCases } from './loss-cases.ts';
import { normalizationCases } from './normalization-cases.ts';
import { poolingCases } from './pooling-cases.ts';
import { productCases } from './product-cases.ts';
import { recurrentCases } from './recurrent-cases.ts';
import { reductionCases } from './reduction-cases.ts';
import { resizeCases } from './resize-cases.ts';
import { type RuleCase, withNarrowInput } from './rule-case.ts';
import { signalCases } from './signal-cases.ts';

/** Where operators take indices or labels of 32 bits too. */
const narrowIndices: Readonly<Record<string, number>> = {
  Gather: 1,
  GatherElements: 1,
  ScatterElements: 1,
  NegativeLogLikelihoodLoss: 1,
  SoftmaxCrossEntropyLoss: 1,
};

const narrowCases: readonly RuleCase[] = [...indexingCases, ...lossCases].flatMap((rule) => {
  const index = narrowIndices[rule.operator];
  return index === undefined ? [] : withNarrowInput(rule, index);
});

/** Every rule of the table, on several shapes and attributes. */
export const cases: readonly RuleCase[] = [
  ...activationCases,
  ...attentionCases,
  ...batchNormalizationCases,
  ...convolutionCases,
  ...elementwiseCases,
  ...indexingCases,
  ...layoutCases,
  ...lossCases,
  ...narrowCases,
  ...normalizationCases,
  ...poolingCases,
  ...productCases,
  ...recurrentCases,
  ...reductionCases,
  ...resizeCases,
  ...signalCases,
];
