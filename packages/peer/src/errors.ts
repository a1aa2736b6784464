import { FactError } from '@murmuration/base';

export class PeerError extends FactError<
  | 'bad-settings'
  | 'bad-invitation'
  | 'no-run'
  | 'bad-run'
  | 'bad-checkpoint'
  | 'stopped'
  | 'unreachable'
  | 'forgotten'
> {}
