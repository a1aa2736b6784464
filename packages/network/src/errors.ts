import { FactError } from '@murmuration/base';

/**
 * What goes wrong between peers. `bad-address`: a multiaddr that cannot be parsed, listened on or dialled;
 * `port-in-use`: a listen address is taken; `unavailable`: no source delivered; `too-long`: more bytes than allowed;
 * `bad-message`: bytes that break a protocol; `bad-seed`: not 32 bytes; `timeout`, `aborted`, `stopped`: as they say.
 */
export type NetworkErrorCode =
  | 'bad-address'
  | 'bad-seed'
  | 'port-in-use'
  | 'unavailable'
  | 'too-long'
  | 'bad-message'
  | 'timeout'
  | 'aborted'
  | 'stopped';

/** Whatever goes wrong between peers. */
export class NetworkError extends FactError<NetworkErrorCode> {}

/** The text of anything that was thrown. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
