/** What a delta costs on the wire beside its blob. */
import type { PeerId } from '@murmuration/base';
import type { ContributionDraft } from '../../protocol/src/index.ts';
import { contributionBody, encodeMessage, encodeSigned } from '../../protocol/src/statement.ts';

/**
 * What gossipsub puts around a message, at most: author, sequence number, topic and signature; and what asks for the
 * blob and frames its answer.
 */
const envelopeBytes = 384;

/** Bytes of the signed announcement of a delta, as gossip carries it, with every frame around it and the blob. */
export function announcementBytes(runDigest: Uint8Array, author: PeerId, draft: ContributionDraft): number {
  const body = contributionBody(runDigest, author, draft.baseHeight, draft);
  return encodeMessage([encodeSigned('contribution', body, () => new Uint8Array(64))]).length + envelopeBytes;
}
