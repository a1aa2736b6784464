/**
 * Follows pieces of work: what one peer trained between two announcements is a piece. A delta says those that were
 * ahead of θ when it was made, as if it said all of them; a block adds those of its deltas to θ. So the sum of θ and of
 * what all peers have ahead of it must hold each piece once (G4), however often chains were changed on the way.
 */
import type { Cid, PeerId } from '@murmuration/base';
import type { Block, BlockId } from '@murmuration/protocol';

/** How often each piece is there. */
export type Pieces = ReadonlyMap<number, number>;

export const noPieces: Pieces = new Map();

/** `to` + factor × `by`. */
export function add(to: Pieces, by: Pieces, factor: 1 | -1 = 1): Pieces {
  if (by.size === 0) return to;
  const sum = new Map(to);
  for (const [piece, count] of by) {
    const total = (sum.get(piece) ?? 0) + factor * count;
    if (total === 0) sum.delete(piece);
    else sum.set(piece, total);
  }
  return sum;
}

export interface WorkBook {
  /** A new piece joins those that are ahead; all of them are in the delta. */
  announce(blob: Cid, author: PeerId, ahead: Pieces): Pieces;
  piecesOf(blob: Cid): Pieces;
  /** A block that some engine applied. */
  note(block: Block): void;
  /** What θ gained from one block to a later one of its chain; from the beginning on, if the first is not in it. */
  between(from: BlockId | undefined, to: BlockId): Pieces;
  /** A peer takes part in a recovery of which this one is to carry what is in it, should it be given up. */
  enter(peer: PeerId, carrier: PeerId | undefined): void;
  /** A peer gave it up at this block. */
  part(peer: PeerId, fork: BlockId, end: BlockId): void;
  /**
   * Pieces in blocks of recoveries that not everybody who gave them up knew as final: PROTOCOL.md §10 says that they
   * may be lost, or counted twice. Blocks that `final` stands on were given up by nobody.
   */
  disputedBeside(final: BlockId): ReadonlySet<number>;
  /** A peer's disk is put back to what it was when so many pieces had been made, and these were ahead of θ there. */
  restored(peer: PeerId, made: number, ahead: Pieces): void;
  /** Pieces that no disk has any more, unless a block took them. */
  readonly dropped: ReadonlySet<number>;
  /** Deltas that their author knows nothing of, since it was put back to a time before them. */
  readonly forgotten: ReadonlySet<Cid>;
  /** Pieces in such deltas that were ahead where their author went back to, so that it sends them again: see G4. */
  readonly remade: ReadonlySet<number>;
  /** Who made which piece. */
  readonly authors: readonly PeerId[];
}

/** Where a peer gave a recovery up. */
interface Parting {
  readonly fork: BlockId;
  readonly end: BlockId;
  readonly carries: boolean;
}

/** A book without any work. */
export function createWorkBook(): WorkBook {
  const authors: PeerId[] = [];
  const deltas = new Map<Cid, Pieces>();
  const blocks = new Map<BlockId, { readonly parent: BlockId; readonly blobs: readonly Cid[] }>();
  const carriers = new Map<PeerId, PeerId>();
  const partings = new Map<BlockId, readonly Parting[]>();
  const dropped = new Set<number>();
  const forgotten = new Set<Cid>();
  const remade = new Set<number>();
  const piecesOf = (blob: Cid): Pieces => deltas.get(blob) ?? noPieces;
  /** From the block after one to another, oldest first. */
  const chainOf = (from: BlockId | undefined, to: BlockId): BlockId[] => {
    const chain: BlockId[] = [];
    for (let at: BlockId | undefined = to; at !== undefined && at !== from; at = blocks.get(at)?.parent)
      chain.unshift(at);
    return chain;
  };
  /** Pieces of the blocks that not all who parted knew; of all blocks, where nobody carries. */
  const disputedIn = (ends: readonly Parting[], regular: ReadonlySet<BlockId>): number[] => {
    const chains = ends.map(({ fork, end }) => chainOf(fork, end));
    const isCarried = ends.some(({ carries }) => carries);
    const known = isCarried ? Math.min(...chains.map(({ length }) => length)) : 0;
    const unknown = chains.flatMap((chain) => chain.slice(known)).filter((id) => !regular.has(id));
    return unknown.flatMap((id) => blocks.get(id)?.blobs ?? []).flatMap((blob) => [...piecesOf(blob).keys()]);
  };
  return {
    authors,
    piecesOf,
    announce(blob, author, ahead) {
      const pieces = add(ahead, new Map([[authors.push(author) - 1, 1]]));
      deltas.set(blob, pieces);
      forgotten.delete(blob);
      return pieces;
    },
    note({ id, parent, execution }) {
      blocks.set(id, { parent, blobs: execution.inputs.map(({ blob }) => blob) });
    },
    enter(peer, carrier) {
      if (carrier) carriers.set(peer, carrier);
    },
    part(peer, fork, end) {
      const [first = end] = chainOf(fork, end);
      const parting = { fork, end, carries: carriers.get(peer) === peer };
      partings.set(first, [...(partings.get(first) ?? []), parting]);
    },
    disputedBeside(final) {
      const regular = new Set(chainOf(undefined, final));
      return new Set([...partings.values()].flatMap((ends) => disputedIn(ends, regular)));
    },
    restored(peer, made, ahead) {
      for (const [blob, pieces] of deltas) {
        const newest = Math.max(...pieces.keys());
        if (newest < made || authors[newest] !== peer) continue;
        dropped.add(newest);
        forgotten.add(blob);
        for (const piece of pieces.keys()) if (ahead.has(piece)) remade.add(piece);
      }
    },
    dropped,
    forgotten,
    remade,
    between: (from, to) =>
      chainOf(from, to)
        .flatMap((id) => blocks.get(id)?.blobs ?? [])
        .reduce((sum, blob) => add(sum, piecesOf(blob)), noPieces),
  };
}
