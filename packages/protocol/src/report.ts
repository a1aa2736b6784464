import type { Cid, PeerId } from '@murmuration/base';
import type { BlockId, Contribution } from './index.ts';

/** What a person or a log should know; never needed for the protocol to go on. */
export type Report =
  | {
      readonly kind: 'certified';
      readonly height: number;
      readonly contributions: readonly Contribution[];
      readonly stateRoot: Uint8Array;
    }
  | { readonly kind: 'skipped'; readonly view: number }
  | { readonly kind: 'contribution'; readonly contribution: Contribution }
  | { readonly kind: 'admitted'; readonly peer: PeerId; readonly epoch: number }
  | {
      readonly kind: 'retired';
      readonly peer: PeerId;
      readonly epoch: number;
      readonly reason: 'leave' | 'silent' | 'reopened';
    }
  /** A member signed what an honest one does not sign; the ledger never takes it back. */
  | { readonly kind: 'convicted'; readonly peer: PeerId; readonly epoch: number }
  /**
   * Something was signed by this vote key that we do not know of: it signs nothing any more, and a new one is needed.
   */
  | { readonly kind: 'forgotten'; readonly key: PeerId }
  | { readonly kind: 'expired'; readonly contribution: Cid }
  /** A block became final in a recovery; it is certified when the recovery is adopted. */
  | { readonly kind: 'provisional'; readonly height: number; readonly contributions: readonly Contribution[] }
  | {
      readonly kind: 'recovery';
      /** `overtaken`: founders opened at a block that is no longer the newest final one; nothing came of it. */
      readonly state: 'opened' | 'abandoned' | 'adopted' | 'reopened' | 'overtaken';
      readonly opening: Cid;
      readonly listed: readonly PeerId[];
      /** Of the fork. */
      readonly height: number;
    }
  | {
      readonly kind: 'diverged';
      readonly height: number;
      /** For the second time, after the state was taken anew: now the peer stops for good. */
      readonly again: boolean;
      readonly expected: Uint8Array;
      readonly computed: Uint8Array;
    }
  /**
   * Two final blocks of one height. Nothing is chosen: the peer stops. `from` sent or claim the other one, where known.
   */
  | {
      readonly kind: 'conflict';
      readonly height: number;
      readonly ours: BlockId;
      readonly theirs: BlockId;
      readonly from: readonly PeerId[];
    }
  | { readonly kind: 'ended'; readonly height: number; readonly stateRoot: Uint8Array };
