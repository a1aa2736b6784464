/**
 * What a trainer holds, and how θ and what training moved change. θ is what blocks make and everybody has; θ_local is
 * what training moves; the residual is what earlier deltas did not say. D = θ − θ_local. When a block takes the pending
 * delta, D leaves θ_local and e ← β·e + D − clip·Δ̂. Beside the values `ahead` says which pieces of work (work-book.ts)
 * are in θ_local and not in θ, and how often.
 */
import type { Cid, PeerId, Random } from '@murmuration/base';
import {
  aggregate,
  applyUpdate,
  revertUpdate,
  type SparseDelta,
  subtractDelta,
  type UpdateUndo,
  type ValueBits,
} from '@murmuration/delta';
import type { BlockId, ContributionDraft, Execution } from '@murmuration/protocol';
import type { DeltaReader } from './delta-reader.ts';
import { add, type Pieces, type WorkBook } from './work-book.ts';

export interface Stand {
  readonly block: BlockId;
  readonly height: number;
  readonly tensors: Cid;
}

export interface Pending {
  readonly blob: Cid;
  readonly base: BlockId;
  readonly baseHeight: number;
  readonly difference: Float32Array;
}

export interface Applied extends Stand {
  readonly undo: UpdateUndo;
  readonly before: Stand;
  readonly carried: boolean;
  readonly own: OwnUndo | undefined;
  /** Pieces of work that were ahead of θ and are no more. */
  readonly taken: Pieces;
}

/** `kept`: the delta was pending, D left θ_local. `sent`: it no longer was, so only clip·Δ̂ did. */
export type OwnUndo =
  | {
      readonly kind: 'kept';
      readonly pending: Pending;
      readonly draft: Encoded['draft'] | undefined;
      readonly residual: Float32Array;
    }
  | { readonly kind: 'sent'; readonly delta: SparseDelta; readonly clip: number };

/** All that a restart needs. */
export interface Checkpoint {
  readonly theta: Float32Array;
  readonly local: Float32Array;
  readonly residual: Float32Array;
  readonly stand: Stand;
  readonly applied: readonly Applied[];
  readonly pending: Pending | undefined;
  /** The announcement of the pending delta, to be made again. */
  readonly draft: Encoded['draft'] | undefined;
  /** θ where a recovery began. */
  readonly forked: { readonly stand: Stand; readonly theta: Float32Array } | undefined;
  /** Pieces of work that θ_local has and θ does not. */
  readonly ahead: Pieces;
}

export interface Encoded {
  readonly bytes: Uint8Array;
  readonly draft: ContributionDraft;
}

export interface TrainerInit {
  readonly self: PeerId;
  readonly runDigest: Uint8Array;
  readonly k: number;
  readonly bits: ValueBits;
  readonly feedback: number;
  /** Where this peer's data pull θ. */
  readonly target: Float32Array;
  readonly random: Random;
  /** The bytes of a delta that is on the disk. */
  blobOf(blob: Cid): Uint8Array | undefined;
  readonly reader: DeltaReader;
  /** Which pieces of work deltas and blocks say. */
  readonly book: WorkBook;
  /** Another sum than the production one, in a broken build. */
  readonly aggregate?: typeof aggregate | undefined;
  /** Is told of every call that a real engine would refuse. */
  complain(problem: string): void;
}

/** Everything of a trainer that changes. */
export interface Trained {
  readonly init: TrainerInit;
  readonly theta: Float32Array;
  readonly local: Float32Array;
  readonly residual: Float32Array;
  stand: Stand;
  applied: readonly Applied[];
  pending: Pending | undefined;
  draft: Encoded['draft'] | undefined;
  forked: Checkpoint['forked'];
  ahead: Pieces;
}

export const trainedFrom = (init: TrainerInit, from: Checkpoint): Trained => ({
  ...from,
  init,
  theta: from.theta.slice(),
  local: from.local.slice(),
  residual: from.residual.slice(),
});

/** Pieces of work that θ_local has and θ would not have without the blocks that can be undone. */
export const aheadIn = ({ applied, ahead }: Pick<Checkpoint, 'applied' | 'ahead'>): Pieces =>
  applied.reduce((sum, { taken }) => add(sum, taken), ahead);

export const checkpointOf = ({ init: _, theta, local, residual, ...rest }: Trained): Checkpoint => ({
  ...rest,
  theta: theta.slice(),
  local: local.slice(),
  residual: residual.slice(),
});

/** `to` += factor × `by`. */
export function move(to: Float32Array, by: Float32Array, factor: 1 | -1 = 1): void {
  for (let i = 0; i < to.length; i++) to[i] = (to[i] as number) + factor * (by[i] as number);
}

/** A delta that a block says; `undefined`, and a complaint, where it is not at hand. */
export function decode(
  { init: { blobOf, reader, complain } }: Trained,
  { blob, author, base }: { readonly blob: Cid; readonly author: PeerId; readonly base: BlockId },
): SparseDelta | undefined {
  const bytes = blobOf(blob);
  if (!bytes) complain(`the delta ${blob} is executed and not held`);
  const delta = bytes && reader.read(blob, bytes, { author, base });
  if (bytes && !delta) complain(`the delta ${blob} is executed and invalid`);
  return delta;
}

/** What an execution adds to θ. */
export function updateOf(trained: Trained, { inputs, kappa }: Execution): SparseDelta | undefined {
  const decoded = inputs.map((input) => ({
    delta: decode(trained, input),
    clip: input.clip,
    weight: input.weight,
  }));
  return decoded.every((input): input is typeof input & { delta: SparseDelta } => input.delta !== undefined)
    ? (trained.init.aggregate ?? aggregate)(decoded, { kappa, length: trained.theta.length })
    : undefined;
}

/** θ after a block: the newest one, or one that can be gone back to. */
export function thetaAfter({ stand, theta, applied }: Trained, block: BlockId): Float32Array | undefined {
  if (block === stand.block) return theta.slice();
  const values = theta.slice();
  for (const record of applied.toReversed()) {
    revertUpdate(values, record.undo);
    if (record.before.block === block) return values;
  }
  return undefined;
}

/** θ moves, and θ_local by as much. */
export function rebase({ theta, local }: Trained, change: () => void): void {
  const before = theta.slice();
  change();
  for (let i = 0; i < theta.length; i++)
    local[i] = (local[i] as number) + ((theta[i] as number) - (before[i] as number));
}

/** θ goes on by an execution; with `carried` θ_local has it already. */
export function advance(trained: Trained, execution: Execution, carried: boolean): UpdateUndo {
  const update = updateOf(trained, execution);
  let undo: UpdateUndo = { indices: new Uint32Array(), values: new Float32Array() };
  const change = (): void => {
    if (update) undo = applyUpdate(trained.theta, update, execution.outerStep);
  };
  if (carried) change();
  else if (update) rebase(trained, change);
  return undo;
}

/** What a block took of ours leaves θ_local. */
export function includeOwn(trained: Trained, blob: Cid, clip: number, delta: SparseDelta): OwnUndo {
  const { local, residual, pending, draft, init } = trained;
  if (pending?.blob !== blob) {
    subtractDelta(local, delta, -clip, local);
    return { kind: 'sent', delta, clip };
  }
  const undo: OwnUndo = { kind: 'kept', pending, draft, residual: residual.slice() };
  const { difference } = pending;
  for (let i = 0; i < local.length; i++) {
    local[i] = (local[i] as number) + (difference[i] as number);
    residual[i] = init.feedback * (residual[i] as number) + (difference[i] as number);
  }
  subtractDelta(residual, delta, clip, residual);
  trained.pending = undefined;
  trained.draft = undefined;
  return undo;
}

export function takeBack(trained: Trained, own: OwnUndo): void {
  const { local, residual } = trained;
  if (own.kind === 'sent') {
    subtractDelta(local, own.delta, own.clip, local);
    return;
  }
  move(local, own.pending.difference, -1);
  residual.set(own.residual);
  trained.pending = own.pending;
  trained.draft = own.draft;
}

/** Pieces of work are ahead of θ no more. */
export function leave(trained: Trained, taken: Pieces): void {
  trained.ahead = add(trained.ahead, taken, -1);
}
