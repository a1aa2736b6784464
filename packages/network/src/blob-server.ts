/** Serves chunks and manifests by their CIDs, one lookup per request, within each peer's byte budget. */
import { blobChunkBytes, type Cid } from '@murmuration/base';
import { decodeRequest, encodeAnswer, requestBytes } from './blob-wire.ts';
import { backlogRequestsMax, lookupBytes } from './defaults.ts';
import type { NetworkComponents } from './index.ts';
import { pause } from './pause.ts';
import type { RequestProtocol, ServeComponents } from './serve.ts';
import type { ServedTransfer } from './uplink.ts';

/** The answering side of `/murmuration/blob/1`. Whatever goes wrong in the lookup is answered as "not here". */
export function createBlobProtocol(
  blobs: NetworkComponents['blobs'],
  { conduct, signal }: ServeComponents,
  onServed: (transfer: ServedTransfer) => void,
): RequestProtocol {
  const read = async (cid: Cid): Promise<Uint8Array | undefined> => {
    try {
      const served = await blobs.openBlob(cid);
      return served && served.size <= blobChunkBytes ? await served.read(0, served.size) : undefined;
    } catch {
      return undefined;
    }
  };
  return {
    requestBytesMax: requestBytes,
    backlogBytesMax: backlogRequestsMax * (requestBytes + 1),
    onServed,
    async respond(peer, request) {
      const chunk = await read(decodeRequest(request));
      const waitMs = conduct.spend(peer, chunk ? chunk.length : lookupBytes);
      await pause(waitMs, signal);
      return encodeAnswer(chunk);
    },
  };
}
