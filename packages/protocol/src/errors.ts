import { FactError } from '@murmuration/base';

/** What this package throws: bytes that are not what they claim to be, or a start from a state that does not fit. */
export class ProtocolError extends FactError<
  | 'bad-message'
  | 'bad-header'
  | 'bad-entry'
  | 'bad-invitation'
  | 'bad-opening'
  | 'bad-record'
  | 'bad-start'
  /** What a peer says of a pinned checkpoint does not follow from it. */
  | 'bad-checkpoint'
  /** A file that should show a peer's share and does not, or one of another release. */
  | 'bad-proof'
  | 'unknown-version'
  /** The ledger knows no tokens of a peer. */
  | 'no-share'
  | 'too-long'
> {}
