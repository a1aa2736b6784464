import type { Lowerings } from '../passes/lower-operators.ts';
import { attention } from './attention.ts';
import { fusedLowerings } from './fused.ts';
import { groupQueryAttention, multiHeadAttention, packedAttention } from './microsoft-attention.ts';
import { normalizationLowerings } from './normalization.ts';
import { recurrentLowerings } from './recurrent.ts';

/** One lowering per operator that is differentiated as several smaller ones. */
export const lowerings: Lowerings = {
  ...recurrentLowerings,
  ...normalizationLowerings,
  ...fusedLowerings,
  Attention: attention,
  'com.microsoft:Attention': packedAttention,
  'com.microsoft:MultiHeadAttention': multiHeadAttention,
  'com.microsoft:GroupQueryAttention': groupQueryAttention,
};
