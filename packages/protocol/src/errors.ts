import { FactError } from '@murmuration/base';

/** What this package throws: bytes that are not what they claim to be, or a start from a state that does not fit. */
export class ProtocolError extends FactError<
  'bad-message' | 'bad-header' | 'bad-entry' | 'bad-invitation' | 'bad-record' | 'bad-start'
> {}
