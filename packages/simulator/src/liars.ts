/**
 * Liars are wrappers around the production replica: they bend what it sends, hide what it would hear, refuse what it
 * would serve, or add statements of their own, signed with their own key. Each lie is one entry of the table below.
 */
import type { Cid, PeerId, Random } from '@murmuration/base';
import type { Effect, LedgerEntry, ReplicaEvent } from '@murmuration/protocol';
import type { Lie } from './lies.ts';
import { badDelta, equivocate, falseHeights, rubbish, withholdVotes } from './lies-about-own.ts';
import { censor, replay, spam, voteUnseen } from './lies-at-large.ts';
import { forkLedger, phantoms, withholdBlobs } from './lies-in-serving.ts';
import { accuse } from './lies-of-others.ts';
import type { Life } from './life.ts';
import type { Setting, SimPeer } from './peer.ts';

/** What a driver performs: the replica's effects, and sending to some peers only. */
export type SimEffect =
  | Effect
  | { readonly kind: 'send'; readonly to: readonly PeerId[]; readonly bytes: Uint8Array };

export interface Liar {
  /** What leaves instead of the replica's effects. */
  bend?(effects: readonly SimEffect[], life: Life): readonly SimEffect[];
  /** What its replica hears instead of an event. */
  hears?(event: ReplicaEvent): ReplicaEvent;
  /** Milliseconds until it serves a blob to a peer; `undefined`: it never answers. */
  serves?(blob: Cid, to: SimPeer): number | undefined;
  /** What it serves instead of ledger entries and of a state. */
  entries?(entries: readonly LedgerEntry[]): LedgerEntry[];
  state?(values: Float32Array): Float32Array;
  /** What it does now and then. */
  readonly habits?: readonly {
    readonly everyMs: number;
    act(life: Life): readonly SimEffect[];
  }[];
}

export interface LiarTools {
  readonly setting: Setting;
  readonly index: number;
  readonly id: PeerId;
  readonly random: Random;
}

type Table = {
  readonly [Kind in Lie['kind']]: (lie: Extract<Lie, { kind: Kind }>, tools: LiarTools) => Liar;
};

const table: Table = {
  twin: () => ({}),
  equivocate,
  'withhold-votes': withholdVotes,
  'withhold-blobs': withholdBlobs,
  rubbish,
  'bad-delta': badDelta,
  censor,
  spam,
  phantoms,
  accuse,
  replay,
  'vote-unseen': voteUnseen,
  'fork-ledger': forkLedger,
  'false-heights': falseHeights,
};

/** Several lies as one: each bends what the one before it left. */
export function createLiar(lies: readonly Lie[], tools: LiarTools): Liar {
  const liars = lies.map((lie) => (table[lie.kind] as (lie: Lie, tools: LiarTools) => Liar)(lie, tools));
  const serving = liars.filter((liar) => liar.serves);
  return {
    bend: (effects, life) =>
      liars.reduce((bent, liar) => liar.bend?.(bent, life) ?? bent, effects as readonly SimEffect[]),
    hears: (event) => liars.reduce((heard, liar) => liar.hears?.(heard) ?? heard, event),
    serves(blob, to) {
      const delays = serving.map((liar) => liar.serves?.(blob, to));
      return delays.includes(undefined) ? undefined : Math.max(0, ...(delays as number[]));
    },
    entries: (entries) =>
      liars.reduce<readonly LedgerEntry[]>(
        (bent, liar) => liar.entries?.(bent) ?? bent,
        entries,
      ) as LedgerEntry[],
    state: (values) => liars.reduce((bent, liar) => liar.state?.(bent) ?? bent, values),
    habits: liars.flatMap((liar) => liar.habits ?? []),
  };
}
