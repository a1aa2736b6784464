import { activationRules } from './activations.ts';
import { attentionRules } from './attention.ts';
import { batchNormalizationRules } from './batch-normalization.ts';
import { channelNormalizationRules } from './channel-normalization.ts';
import { convolutionRules } from './convolution.ts';
import { elementwiseRules } from './elementwise.ts';
import { indexingRules } from './indexing.ts';
import { layoutRules } from './layout.ts';
import { lossRules } from './losses.ts';
import { normalizationRules } from './normalization.ts';
import { poolingRules } from './pooling.ts';
import { productRules } from './products.ts';
import { reductionRules } from './reduction.ts';
import { resizeRules } from './resize.ts';
import type { GradientRules } from './rule.ts';
import { scanRules } from './scan.ts';
import { signalRules } from './signal.ts';

export { withoutGradient } from './without-gradient.ts';

/** One gradient rule per operator. */
export const gradientRules: GradientRules = {
  ...attentionRules,
  ...batchNormalizationRules,
  ...channelNormalizationRules,
  ...convolutionRules,
  ...elementwiseRules,
  ...poolingRules,
  ...activationRules,
  ...productRules,
  ...normalizationRules,
  ...lossRules,
  ...layoutRules,
  ...indexingRules,
  ...reductionRules,
  ...resizeRules,
  ...scanRules,
  ...signalRules,
};
