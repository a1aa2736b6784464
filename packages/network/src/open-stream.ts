import type { Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { openTimeoutMs } from './defaults.ts';
import { NetworkError, reasonOf } from './errors.ts';
import { limited } from './limited.ts';
import type { Node } from './node.ts';

/** Opens a stream, dialling the peer if need be. `NetworkError` `aborted` | `unavailable`. */
export async function openStream(
  node: Node,
  peer: string,
  protocol: string,
  signal: AbortSignal,
): Promise<Stream> {
  try {
    return await limited(openTimeoutMs, signal, (either) =>
      node.dialProtocol(peerIdFromString(peer), protocol, { signal: either }),
    );
  } catch (cause) {
    if (signal.aborted) throw new NetworkError('aborted by the caller', { code: 'aborted', peer }, { cause });
    throw new NetworkError(
      `cannot open ${protocol} to ${peer}: ${reasonOf(cause)}`,
      { code: 'unavailable', peer, protocol },
      { cause },
    );
  }
}
