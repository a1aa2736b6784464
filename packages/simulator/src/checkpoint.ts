/** A newcomer that trusts one final block, which it was told of: it begins there and not at genesis. */
import { cidOfDigest, decodeCbor, sha256 } from '@murmuration/base';
import { firstEntryOf, openCheckpoint } from '@murmuration/protocol';
import type { Setting, SimPeer } from './peer.ts';

/** Puts the newest checkpoint that some honest member can show onto a disk; without any the peer begins at genesis. */
export function beginAtCheckpoint(
  peer: SimPeer,
  { run, runId, keys, judge }: Setting,
  peers: readonly SimPeer[],
): void {
  const source = peers.find(({ life, isHonest, disk }) => life && isHonest && disk.states.size > 0);
  const [height, state] = [...(source?.disk.states ?? [])].at(-1) ?? [];
  if (!source || height === undefined || !state) return;
  const { ledger } = source.disk;
  const { header } = decodeCbor(ledger[height - 1]?.bytes as Uint8Array) as { header: Uint8Array };
  const checkpoint = { height, block: cidOfDigest(sha256(header), 'dag-cbor') };
  const last = ledger.findIndex(({ bytes }, index) => {
    const { certificate } = decodeCbor(bytes) as { certificate: unknown };
    return index >= height - 1 && certificate !== null;
  });
  if (last < 0) return;
  const entries = ledger.slice(firstEntryOf(run, checkpoint) - 1, last + 1);
  const bytes = openCheckpoint({ run, runId, checkpoint, entries, state }, keys.componentsOf(peer.id));
  peer.disk.base = { height, bytes };
  peer.disk.ledger.length = height;
  judge.performed('checkpoint');
}
