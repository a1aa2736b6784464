import { FactError } from '@murmuration/base';

/** Why a graph cannot be differentiated, or why its gradients are wrong. */
export class AutodiffError extends FactError<
  | 'no-rule'
  | 'no-path'
  | 'foreign-operator'
  | 'unknown-shape'
  | 'unsupported'
  | 'bad-request'
  | 'wrong-gradient'
> {}
