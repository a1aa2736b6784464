/**
 * What becomes of honest work: certified, expired (it stays in the local parameters), or lost in a crash; never twice
 * (G4).
 */
import type { Cid, PeerId } from '@murmuration/base';
import type { Block, BlockId } from '@murmuration/protocol';
import type { SimPeer } from './peer.ts';
import type { Scenario } from './scenario.ts';
import type { Encoded } from './trained.ts';
import { add, createWorkBook, noPieces, type WorkBook } from './work-book.ts';

export interface WorkWatch {
  encoded(peer: SimPeer, draft: Encoded['draft'], now: number): void;
  /** A process ended while it trained. */
  lost(tokens: number): void;
  expired(contribution: Cid): void;
  settled(block: Block): void;
  readonly book: WorkBook;
  /** Compares what is in θ and ahead of it with what was made; some peers are not at the end. */
  balance(final: BlockId, ended: readonly SimPeer[], isEverybody: boolean): void;
  /** Tokens that honest peers trained: certified, given up or lost; what still waits at the end counts for nobody. */
  readonly tokensTrained: number;
  readonly tokensCertified: number;
  readonly expiredCount: number;
  /** Pieces of work in blocks of which not everybody knew when a recovery was given up. */
  readonly disputedCount: number;
}

interface Work {
  readonly peer: SimPeer;
  readonly tokens: number;
}

const lateHeightsDefault = 4;

export function createWorkWatch(
  complain: (problem: string) => void,
  honest: ReadonlySet<PeerId>,
  { settings }: Scenario,
): WorkWatch {
  const book = createWorkBook();
  const open = new Map<Cid, Work>();
  const heights = new Map<Cid, number>();
  const payloads = new Map<Cid, number>();
  const expired = new Set<Cid>();
  const lateHeights = settings.lateHeights ?? lateHeightsDefault;
  let highest = 0;
  let certified = 0;
  let wasted = 0;
  let disputedCount = 0;

  const once = (known: Map<Cid, number>, name: Cid, height: number, what: string): void => {
    if ((known.get(name) ?? height) !== height) complain(`G4: ${what} ${name} is certified twice`);
    known.set(name, height);
  };
  return {
    encoded(peer, { blob, tokens }) {
      open.set(blob, { peer, tokens });
    },
    lost(tokens) {
      wasted += tokens;
    },
    expired: (contribution) => {
      expired.add(contribution);
    },
    settled({ height, contributions }) {
      for (const { cid, blob, baseHeight, author } of contributions) {
        once(heights, cid, height, 'contribution');
        once(payloads, blob, height, 'payload');
        if (height - baseHeight > lateHeights)
          complain(
            `G4: a contribution based on ${baseHeight} is certified at ${height}, more than ${lateHeights} later`,
          );
        const work = open.get(blob);
        if (!work || !honest.has(author)) continue;
        certified += work.tokens;
        open.delete(blob);
      }
      highest = Math.max(highest, height);
    },
    book,
    balance(final, ended, isEverybody) {
      const ahead = ended.map(({ life }) => life?.trainer.ahead ?? noPieces);
      const sum = ahead.reduce((all, own) => add(all, own), book.between(undefined, final));
      const { authors, disputed } = book;
      const isExcused = (author: PeerId, piece: number): boolean =>
        !honest.has(author) || disputed.has(piece);
      const counts = authors.map((author, piece) => (isExcused(author, piece) ? 1 : (sum.get(piece) ?? 0)));
      disputedCount = disputed.size;
      const twice = counts.filter((count) => count > 1).length;
      const lost = isEverybody ? counts.filter((count) => count < 1).length : 0;
      if (twice + lost > 0)
        complain(`G4: of ${counts.length} pieces of work ${twice} count more than once, ${lost} are lost`);
    },
    get tokensTrained() {
      let missed = 0;
      for (const { peer, tokens } of open.values())
        if (peer.isGone || peer.life?.trainer.pending === undefined) missed += tokens;
      return certified + missed + wasted;
    },
    get tokensCertified() {
      return certified;
    },
    get disputedCount() {
      return disputedCount;
    },
    get expiredCount() {
      return expired.size;
    },
  };
}
