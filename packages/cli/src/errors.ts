import { FactError } from '@murmuration/base';

export class CliError extends FactError<
  'bad-option' | 'bad-link' | 'no-store' | 'store-exists' | 'demo-failed' | 'not-confirmed' | 'process-failed'
> {}
