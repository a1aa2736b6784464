import type { Lowerings } from '../passes/lower-operators.ts';
import { attention } from './attention.ts';
import { fusedLowerings } from './fused.ts';
import { globalNorm } from './global-norm.ts';
import { groupQueryAttention, multiHeadAttention, packedAttention } from './microsoft-attention.ts';
import { normalizationLowerings } from './normalization.ts';
import { recurrentLowerings } from './recurrent.ts';
import { rotationLowerings } from './rotation.ts';
import { samplingLowerings } from './sampling.ts';

/** One lowering per operator that is differentiated as several smaller ones. */
export const lowerings: Lowerings = {
  ...recurrentLowerings,
  ...normalizationLowerings,
  ...fusedLowerings,
  ...rotationLowerings,
  ...samplingLowerings,
  Attention: attention,
  GlobalLpPool: globalNorm,
  'com.microsoft:Attention': packedAttention,
  'com.microsoft:MultiHeadAttention': multiHeadAttention,
  'com.microsoft:GroupQueryAttention': groupQueryAttention,
};
