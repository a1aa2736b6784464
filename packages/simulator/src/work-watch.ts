/**
 * What becomes of honest work: certified, expired (it stays in the local parameters), or lost in a crash; never twice
 * (G4).
 */
import type { Cid, PeerId } from '@murmuration/base';
import type { Block, BlockId } from '@murmuration/protocol';
import type { SimPeer } from './peer.ts';
import type { Scenario } from './scenario.ts';
import type { Encoded } from './trained.ts';
import { type Balance, balance } from './work-balance.ts';
import { createWorkBook, type WorkBook } from './work-book.ts';

export interface WorkWatch {
  encoded(peer: SimPeer, draft: Encoded['draft'], now: number): void;
  /** A process ended while it trained. */
  lost(tokens: number): void;
  expired(blob: Cid): void;
  settled(block: Block): void;
  readonly book: WorkBook;
  /** At the end: whether all work of these honest peers is there once. */
  weigh(tip: BlockId, peers: readonly SimPeer[]): void;
  /** What that found; `undefined` before. */
  readonly balance: Balance | undefined;
  /** Tokens that honest peers trained: certified, given up or lost; what still waits at the end counts for nobody. */
  readonly tokensTrained: number;
  readonly tokensCertified: number;
  /** Contributions that expired although what they build on is final; those on a block that was undone have to. */
  readonly expiredCount: number;
}

interface Work {
  readonly peer: SimPeer;
  /** `undefined`: what the run began with. */
  readonly base: BlockId | undefined;
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
  const expired = new Set<Work>();
  const final = new Set<BlockId | undefined>([undefined]);
  const lateHeights = settings.lateHeights ?? lateHeightsDefault;
  let certified = 0;
  let wasted = 0;
  let found: Balance | undefined;

  const once = (known: Map<Cid, number>, name: Cid, height: number, what: string): void => {
    if ((known.get(name) ?? height) !== height) complain(`G4: ${what} ${name} is certified twice`);
    known.set(name, height);
  };
  return {
    encoded(peer, { blob, base, baseHeight, tokens }) {
      open.set(blob, { peer, base: baseHeight === 0 ? undefined : base, tokens });
    },
    lost(tokens) {
      wasted += tokens;
    },
    expired(blob) {
      const work = open.get(blob);
      if (work) expired.add(work);
    },
    settled({ id, height, contributions }) {
      final.add(id);
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
    },
    book,
    weigh(tip, peers) {
      found = balance(book, honest, tip, peers);
      const { pieces, twice, lost } = found;
      if (twice + lost > 0)
        complain(`G4: of ${pieces} pieces of work ${twice} count more than once, ${lost} are lost`);
    },
    get balance() {
      return found;
    },
    get tokensTrained() {
      let missed = 0;
      for (const [blob, { peer, tokens }] of open)
        if (peer.isGone || peer.life?.trainer.pending !== blob) missed += tokens;
      return certified + missed + wasted;
    },
    get tokensCertified() {
      return certified;
    },
    get expiredCount() {
      return [...expired].filter(({ base }) => final.has(base)).length;
    },
  };
}
