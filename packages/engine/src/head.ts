/**
 * The numbers that a peer's life is about, as flat vectors of one length N: θ, which blocks make and everybody has;
 * θ_local, which inner steps move; the residual e, what earlier deltas did not say. While a delta is pending its D = θ
 * − θ_local is kept. A block moves θ at the coordinates of its deltas; the old values there are its undo record.
 *
 * Rebase: θ_local += θ_new − θ, and when our own delta is in the block + D, e ← β·e + D − clip·Δ̂: what was sent
 * leaves the local parameters, what the encoding or the clip lost goes on in e.
 *
 * Memory is what bounds a model, so nothing here copies a whole vector. u is made chunk by chunk while it is encoded.
 * An inclusion writes the new residual where D was and keeps the old one for its undo, which makes D of the two again.
 */
import type { Cid } from '@murmuration/base';
import { chunkLength, type VectorSource } from '@murmuration/delta';
import { undoMax } from './defaults.ts';
import { EngineError } from './errors.ts';
import type { EncodedDelta } from './index.ts';

/** Neighbouring coordinates. */
export interface CoordinateRange {
  readonly start: number;
  readonly end: number;
}

/** Where θ stands. */
export interface BlockPosition {
  readonly block: Cid;
  readonly height: number;
}

export interface Pending {
  readonly delta: EncodedDelta;
  /** D at encoding. */
  readonly difference: Float32Array;
}

/** Values at some coordinates; indices rise. */
export interface SparseVector {
  readonly indices: Uint32Array;
  readonly values: Float32Array;
}

/** Our delta as the block takes it. */
export interface OwnInclusion {
  readonly blob: Cid;
  readonly clip: number;
  readonly decoded: SparseVector;
}

/** What takes an applied block back. */
export interface AppliedBlock {
  readonly position: BlockPosition;
  readonly parent: BlockPosition;
  readonly before: SparseVector;
  /** The local parameters did not move along. */
  readonly carried: boolean;
  readonly own: OwnUndo | undefined;
}

/**
 * `kept`: the delta was pending, D left θ_local, `residual` is the one before. `sent`: it no longer was pending, so
 * only clip·Δ̂ left.
 */
export type OwnUndo =
  | {
      readonly kind: 'kept';
      readonly delta: EncodedDelta;
      readonly own: OwnInclusion;
      readonly residual: Float32Array;
    }
  | { readonly kind: 'sent'; readonly change: SparseVector };

export interface Head {
  readonly parameters: Float32Array;
  readonly local: Float32Array;
  residual: Float32Array;
  /** As long as θ, of no meaning: for the next D, so that no memory need be got and cleared for it. */
  spare: Float32Array | undefined;
  position: BlockPosition;
  /** Oldest first; each one's parent is the position of the one before. */
  applied: AppliedBlock[];
  pending: Pending | undefined;
}

const add = (vector: Float32Array, { indices, values }: SparseVector, factor: number): void => {
  for (let j = 0; j < indices.length; j++) {
    const i = indices[j] as number;
    vector[i] = (vector[i] as number) + factor * (values[j] as number);
  }
};

/** A vector's values at some coordinates. */
export const gather = (vector: Float32Array, indices: Uint32Array): SparseVector => {
  const values = new Float32Array(indices.length);
  for (let j = 0; j < indices.length; j++) values[j] = vector[indices[j] as number] as number;
  return { indices, values };
};

/** Writes values into θ; θ_local moves by as much, or stays. */
function moveTo(head: Head, { indices, values }: SparseVector, carried: boolean): void {
  const { parameters, local } = head;
  for (let j = 0; j < indices.length; j++) {
    const i = indices[j] as number;
    const after = values[j] as number;
    if (!carried) local[i] = (local[i] as number) + (after - (parameters[i] as number));
    parameters[i] = after;
  }
}

/** D = θ − θ_local, rounded to float32; 0 in the ranges that stay with this peer. */
export function difference(head: Head, kept: readonly CoordinateRange[] = []): Float32Array {
  const { parameters, local } = head;
  const d = head.spare ?? new Float32Array(parameters.length);
  head.spare = undefined;
  for (let i = 0; i < d.length; i++) d[i] = (parameters[i] as number) - (local[i] as number);
  for (const { start, end } of kept) d.fill(0, start, end);
  return d;
}

/** u = β·e + D, rounded to float32; 0 in the ranges that stay with this peer. */
export function message(
  { residual }: Head,
  d: Float32Array,
  feedback: number,
  kept: readonly CoordinateRange[] = [],
): VectorSource {
  const values = new Float32Array(chunkLength);
  return {
    length: d.length,
    chunk(start, end) {
      for (let i = start; i < end; i++)
        values[i - start] = feedback * (residual[i] as number) + (d[i] as number);
      for (const range of kept)
        if (range.start < end && range.end > start)
          values.fill(0, Math.max(range.start, start) - start, Math.min(range.end, end) - start);
      return values.subarray(0, end - start);
    },
  };
}

function includeOwn(head: Head, own: OwnInclusion, feedback: number): OwnUndo {
  const { local, residual, pending } = head;
  const { indices, values } = own.decoded;
  if (pending?.delta.blob !== own.blob) {
    const change = { indices, values: values.map((value) => own.clip * value) };
    add(local, change, 1);
    return { kind: 'sent', change };
  }
  const next = pending.difference;
  for (let i = 0; i < next.length; i++) {
    const d = next[i] as number;
    local[i] = (local[i] as number) + d;
    next[i] = feedback * (residual[i] as number) + d;
  }
  add(next, own.decoded, -own.clip);
  head.residual = next;
  head.pending = undefined;
  return { kind: 'kept', delta: pending.delta, own, residual };
}

/** The inclusion's counterpart: the residual to the bit, D and θ_local up to rounding. */
function excludeOwn(head: Head, undo: OwnUndo & { kind: 'kept' }, feedback: number): void {
  const { delta, own, residual } = undo;
  const { local, residual: d } = head;
  add(d, own.decoded, own.clip);
  for (let i = 0; i < d.length; i++) {
    d[i] = (d[i] as number) - feedback * (residual[i] as number);
    local[i] = (local[i] as number) - (d[i] as number);
  }
  head.residual = residual;
  head.pending = { delta, difference: d };
}

/** Makes θ that of a block, whose values at the changed coordinates are `after`. */
export function applyBlock(
  head: Head,
  block: {
    readonly position: BlockPosition;
    readonly after: SparseVector;
    readonly own?: OwnInclusion;
    readonly carried?: boolean;
  },
  feedback: number,
): void {
  const changes = block.after.indices.length > 0;
  if (changes && head.applied.filter(({ before }) => before.indices.length > 0).length >= undoMax)
    throw new EngineError(
      `${undoMax} applied blocks are not settled: block ${block.position.block} must wait`,
      {
        code: 'undo-limit',
        block: block.position.block,
      },
    );
  const before = gather(head.parameters, block.after.indices);
  const { carried = false } = block;
  moveTo(head, block.after, carried);
  const own = block.own && includeOwn(head, block.own, feedback);
  head.applied.push({ position: block.position, parent: head.position, before, carried, own });
  head.position = block.position;
}

/** Takes the newest applied block back: θ to the bit, the local parameters up to rounding. */
export function undoBlock(head: Head, block: Cid, feedback: number): void {
  const last = head.applied.at(-1);
  if (last?.position.block !== block)
    throw new EngineError(
      `expected the newest applied block ${last?.position.block ?? '(none can be undone)'}, got ${block}`,
      { code: 'not-undoable', block, head: head.position.block },
    );
  head.applied.pop();
  moveTo(head, last.before, last.carried);
  if (last.own?.kind === 'sent') add(head.local, last.own.change, -1);
  if (last.own?.kind === 'kept') excludeOwn(head, last.own, feedback);
  head.position = last.parent;
}

/** Forgets how to undo a block and all before it. Nothing happens for a block that is not among them. */
export function settleBlock(head: Head, block: Cid): void {
  const index = head.applied.findIndex(({ position }) => position.block === block);
  for (const { own } of head.applied.splice(0, index + 1))
    if (own?.kind === 'kept') head.spare = own.residual;
}

/** Puts values into θ; gives those that were there. */
function exchange(parameters: Float32Array, { indices, values }: SparseVector): SparseVector {
  const before = gather(parameters, indices);
  for (let j = 0; j < indices.length; j++) parameters[indices[j] as number] = values[j] as number;
  return before;
}

/**
 * Lends θ as it was after `block`: the newest block's, or that of one which can be gone back to. `use` sees it in place
 * of the head's; every bit is back when this returns, or throws.
 */
export function withParametersAfter<Result>(
  head: Head,
  block: Cid,
  use: (parameters: Float32Array) => Result,
): Result {
  const { parameters, applied } = head;
  const depth =
    head.position.block === block
      ? 0
      : applied.toReversed().findIndex(({ parent }) => parent.block === block) + 1;
  if (depth === 0 && head.position.block !== block)
    throw new EngineError(
      `expected the head ${head.position.block} or a block before it that can be undone, got ${block}`,
      { code: 'unknown-parent', block, head: head.position.block },
    );
  const undone = applied.slice(applied.length - depth).reverse();
  const taken = undone.map(({ before }) => exchange(parameters, before));
  try {
    return use(parameters);
  } finally {
    for (const values of taken.reverse()) exchange(parameters, values);
  }
}

/** Puts θ back to an earlier value; θ_local moves along, or stays (`carry`) where it is. */
export function rewindParameters(
  head: Head,
  values: Float32Array,
  position: BlockPosition,
  carry: boolean,
): void {
  const { parameters, local } = head;
  for (let i = 0; i < values.length; i++) {
    const after = values[i] as number;
    if (!carry) local[i] = after + ((local[i] as number) - (parameters[i] as number));
    parameters[i] = after;
  }
  head.position = position;
  head.applied = [];
  head.pending = undefined;
}

/**
 * Puts θ to what another peer's snapshot holds; θ_local keeps its difference to θ. Nothing before can be undone. A
 * pending delta that the blocks in between took (`own`) leaves θ_local as if they had been applied; any other is
 * dropped: if it enters a later block, clip·Δ̂ leaves θ_local then.
 */
export function installParameters(
  head: Head,
  values: Float32Array,
  position: BlockPosition,
  own: OwnInclusion | undefined,
  feedback: number,
): void {
  const { parameters, local } = head;
  if (own) includeOwn(head, own, feedback);
  for (let i = 0; i < values.length; i++) {
    const after = values[i] as number;
    local[i] = after + ((local[i] as number) - (parameters[i] as number));
    parameters[i] = after;
  }
  head.position = position;
  head.applied = [];
  head.pending = undefined;
}
