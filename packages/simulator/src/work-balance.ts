/** Whether every piece of work is there once at the end: in θ, or ahead of it (G4). */
import type { PeerId } from '@murmuration/base';
import type { BlockId } from '@murmuration/protocol';
import type { SimPeer } from './peer.ts';
import { aheadIn } from './trained.ts';
import { add, type Pieces, type WorkBook } from './work-book.ts';

export interface Balance {
  readonly pieces: number;
  readonly twice: number;
  readonly lost: number;
  /** Pieces that are lost or there twice where PROTOCOL.md §10 allows it. */
  readonly disputed: number;
}

/** What a peer had ahead of θ when it was last seen. */
const aheadOf = ({ life, disk }: SimPeer): Pieces => life?.trainer.ahead ?? aheadIn(disk.checkpoint);

/**
 * Compares what is in θ after `final` and ahead of it with what honest authors made. What those made who are not at the
 * end may be lost, and what they carried for others; so may what a backup did not have. Nothing may be there twice, but
 * what a backup had and its peer has sent and forgotten.
 */
export function balance(
  book: WorkBook,
  honest: ReadonlySet<PeerId>,
  final: BlockId,
  peers: readonly SimPeer[],
): Balance {
  const ended = peers.filter(({ hasEnded }) => hasEnded);
  const present = new Set(ended.map(({ id }) => id));
  const sum = ended.reduce((all, peer) => add(all, aheadOf(peer)), book.between(undefined, final));
  const gone = new Set(
    peers.flatMap((peer) => (peer.hasEnded ? [] : [...aheadOf(peer).keys()])).concat([...book.dropped]),
  );
  const disputed = book.disputedBeside(final);
  const found = { pieces: 0, twice: 0, lost: 0, disputed: 0 };
  for (const [piece, author] of book.authors.entries()) {
    if (!honest.has(author)) continue;
    found.pieces++;
    const count = sum.get(piece) ?? 0;
    const mayBeLost = !present.has(author) || gone.has(piece);
    if (count === 1 || (count < 1 ? mayBeLost : book.remade.has(piece))) continue;
    if (disputed.has(piece)) found.disputed++;
    else if (count > 1) found.twice++;
    else found.lost++;
  }
  return found;
}
