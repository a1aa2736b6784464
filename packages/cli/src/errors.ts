import { FactError } from '@murmuration/base';

export class CliError extends FactError<
  | 'bad-option'
  | 'bad-link'
  | 'no-checkpoint'
  | 'no-store'
  | 'store-exists'
  | 'demo-failed'
  | 'not-confirmed'
  | 'process-failed'
  | 'not-retired'
  | 'other-run'
  | 'bad-file'
  | 'bad-ledger'
> {}
