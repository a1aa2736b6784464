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
   * may be lost, or counted twice.
   */
  readonly disputed: ReadonlySet<number>;
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
  const piecesOf = (blob: Cid): Pieces => deltas.get(blob) ?? noPieces;
  /** From the block after one to another, oldest first. */
  const chainOf = (from: BlockId, to: BlockId): BlockId[] => {
    const chain: BlockId[] = [];
    for (let at: BlockId | undefined = to; at !== undefined && at !== from; at = blocks.get(at)?.parent)
      chain.unshift(at);
    return chain;
  };
  /** Pieces of the blocks that not all who parted knew; of all blocks, where nobody carries. */
  const disputedIn = (ends: readonly Parting[]): number[] => {
    const chains = ends.map(({ fork, end }) => chainOf(fork, end));
    const isCarried = ends.some(({ carries }) => carries);
    const known = isCarried ? Math.min(...chains.map(({ length }) => length)) : 0;
    const unknown = chains.flatMap((chain) => chain.slice(known));
    return unknown.flatMap((id) => blocks.get(id)?.blobs ?? []).flatMap((blob) => [...piecesOf(blob).keys()]);
  };
  return {
    authors,
    piecesOf,
    announce(blob, author, ahead) {
      const pieces = add(ahead, new Map([[authors.push(author) - 1, 1]]));
      deltas.set(blob, pieces);
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
    get disputed() {
      return new Set([...partings.values()].flatMap(disputedIn));
    },
    between(from, to) {
      let sum = noPieces;
      for (let at: BlockId | undefined = to; at !== undefined && at !== from; ) {
        const block = blocks.get(at);
        for (const blob of block?.blobs ?? []) sum = add(sum, piecesOf(blob));
        at = block?.parent;
      }
      return sum;
    },
  };
}
