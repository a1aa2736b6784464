/**
 * A trainer without a model. Each peer pulls θ_local towards its own target; what it moved is encoded, announced, taken
 * by blocks and undone with the production code of `@murmuration/delta`, in the order of calls that the real engine
 * demands. So the name of θ is a hash of real values, and two histories that differ in one bit are told apart.
 */
import { type Cid, digestOfCid, nameBlob, publicKeyOf } from '@murmuration/base';
import { applyUpdate, deltaNorm, encodeDelta, revertUpdate } from '@murmuration/delta';
import type { Block, BlockId, Execution } from '@murmuration/protocol';
import { nameParameters } from './run.ts';
import {
  advance,
  aheadIn,
  type Checkpoint,
  checkpointOf,
  decode,
  type Encoded,
  includeOwn,
  leave,
  rebase,
  type Stand,
  type Trained,
  type TrainerInit,
  takeBack,
  thetaAfter,
  trainedFrom,
  updateOf,
} from './trained.ts';
import { add, noPieces, type Pieces } from './work-book.ts';

export interface Trainer {
  readonly stand: Stand;
  readonly undoable: readonly Stand[];
  readonly pending: Cid | undefined;
  readonly theta: Float32Array;
  /** Pieces of work that θ_local has and θ would not have without the blocks that can be undone. */
  readonly ahead: Pieces;
  /** θ after a block, if it is the newest one or can be gone back to. */
  thetaAfter(block: BlockId): Float32Array | undefined;
  checkpoint(): Checkpoint;
  train(steps: number): void;
  encode(tokens: number, steps: number): Encoded;
  execute(execution: Execution): Cid | undefined;
  /**
   * `own` is our contribution in the block: what it says leaves the local parameters. With `carried` the local
   * parameters stay: what the block says is in them already.
   */
  apply(block: Block, own: Cid | undefined, carried?: boolean): void;
  /** Keeps θ where it stands, and goes back to it: with `carry` the local parameters stay. */
  fork(): void;
  rewind(to: Stand, carry: boolean): void;
  undo(block: BlockId): void;
  settle(block: BlockId): void;
  expire(blob: Cid): void;
  install(stand: Stand, values: Float32Array, own: { blob: Cid; clip: number } | undefined): void;
}

/** Share of the way to its target that a step goes, and how far noise throws it. */
const stepRate = 0.05;
const stepNoise = 0.01;

export const firstCheckpoint = (stand: Stand, theta: Float32Array): Checkpoint => ({
  theta,
  local: theta,
  residual: new Float32Array(theta.length),
  stand,
  applied: [],
  pending: undefined,
  draft: undefined,
  forked: undefined,
  ahead: noPieces,
});

/** Mean of the squared distances per value. */
export function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] as number) - (b[i] as number)) ** 2;
  return sum / a.length;
}

/** A trainer that goes on from a checkpoint. */
export function createTrainer(init: TrainerInit, from: Checkpoint): Trainer {
  const trained = trainedFrom(init, from);
  return {
    get stand() {
      return trained.stand;
    },
    get undoable() {
      return trained.applied;
    },
    get pending() {
      return trained.pending?.blob;
    },
    get ahead() {
      return aheadIn(trained);
    },
    theta: trained.theta,
    checkpoint: () => checkpointOf(trained),
    train: (steps) => train(trained, steps),
    encode: (tokens, steps) => encode(trained, tokens, steps),
    thetaAfter: (block) => thetaAfter(trained, block),
    execute: (execution) => execute(trained, execution),
    apply: (block, own, carried = false) => apply(trained, block, own, carried),
    undo: (block) => undo(trained, block),
    settle: (block) => settle(trained, block),
    expire(blob) {
      if (trained.pending?.blob === blob) dropPending(trained);
    },
    fork() {
      trained.forked = { stand: trained.stand, theta: trained.theta.slice() };
    },
    rewind: (to, carry) => rewind(trained, to, carry),
    install: (stand, values, own) => install(trained, stand, values, own),
  };
}

function dropPending(trained: Trained): void {
  trained.pending = undefined;
  trained.draft = undefined;
}

function train({ init: { target, random }, local }: Trained, steps: number): void {
  for (let step = 0; step < steps; step++)
    for (let i = 0; i < local.length; i++) {
      const pull = stepRate * ((target[i] as number) - (local[i] as number));
      local[i] = (local[i] as number) + pull + stepNoise * (random.unit() - 0.5);
    }
}

/** What was trained since the last time is a new piece of work. */
function encode(trained: Trained, tokens: number, steps: number): Encoded {
  const { init, theta, local, residual, stand, pending: before } = trained;
  const { self, reader, book } = init;
  if (before) init.complain(`encode, but ${before.blob} is pending`);
  const difference = theta.map((value, i) => value - (local[i] as number));
  const message = difference.map((value, i) => init.feedback * (residual[i] as number) + value);
  const { block: base, height: baseHeight } = stand;
  const header = { runDigest: init.runDigest, base: digestOfCid(base), author: publicKeyOf(self) };
  const bytes = encodeDelta(message, header, { k: init.k, bits: init.bits });
  const { cid: blob } = nameBlob(bytes);
  const delta = reader.read(blob, bytes, { author: self, base });
  const norm = delta ? deltaNorm(delta) : 0;
  const loss = distance(local, init.target);
  trained.ahead = book.announce(blob, self, trained.ahead);
  trained.pending = { blob, base, baseHeight, difference };
  trained.draft = { base, baseHeight, blob, blobBytes: bytes.length, norm, tokens, steps, loss };
  return { bytes, draft: trained.draft };
}

function execute(trained: Trained, execution: Execution): Cid | undefined {
  const { parent, height, outerStep } = execution;
  const values = thetaAfter(trained, parent);
  if (!values) {
    trained.init.complain(`execute on ${parent} of height ${height - 1}, which is not applied`);
    return undefined;
  }
  const update = updateOf(trained, execution);
  if (!update) return undefined;
  applyUpdate(values, update, outerStep);
  return nameParameters(values);
}

function apply(trained: Trained, block: Block, own: Cid | undefined, carried: boolean): void {
  const { init, theta, stand: before } = trained;
  const { id, height, parent, execution, tensors } = block;
  if (before.block !== parent)
    init.complain(`apply ${height} on ${parent}, but the trainer stands at ${before.height}`);
  init.book.note(block);
  const input = execution.inputs.find(({ contribution }) => contribution === own);
  const undone = advance(trained, execution, carried);
  const delta = input && decode(trained, input);
  const included = input && delta && includeOwn(trained, input.blob, input.clip, delta);
  const mine = input && delta ? init.book.piecesOf(input.blob) : noPieces;
  const taken = carried ? add(mine, init.book.between(parent, id)) : mine;
  leave(trained, taken);
  trained.stand = { block: id, height, tensors: nameParameters(theta) };
  const record = { ...trained.stand, undo: undone, before, carried, own: included, taken };
  trained.applied = [...trained.applied, record];
  if (trained.stand.tensors !== tensors) init.complain(`apply ${height}: θ is not what the header says`);
}

function undo(trained: Trained, block: BlockId): void {
  const { init, theta, applied } = trained;
  const last = applied.at(-1);
  trained.applied = applied.slice(0, -1);
  if (!last || last.block !== block) {
    init.complain(`undo ${block}, but the trainer stands at ${last?.block}`);
    return;
  }
  if (last.carried) revertUpdate(theta, last.undo);
  else rebase(trained, () => revertUpdate(theta, last.undo));
  if (last.own) takeBack(trained, last.own);
  trained.ahead = add(trained.ahead, last.taken);
  trained.stand = last.before;
  if (nameParameters(theta) !== trained.stand.tensors)
    init.complain(`undo ${last.height}: θ has not the bits that it had`);
}

function settle(trained: Trained, block: BlockId): void {
  const index = trained.applied.findIndex((record) => record.block === block);
  if (index !== 0) trained.init.complain(`settle ${block}, which is not the oldest applied block`);
  trained.applied = trained.applied.slice(index + 1);
}

function rewind(trained: Trained, to: Stand, carry: boolean): void {
  const { init, theta, forked, stand, applied } = trained;
  if (!forked || forked.stand.block !== to.block || applied.length > 0) {
    init.complain(`rewind to ${to.height}, which was not kept, or with blocks applied`);
    return;
  }
  if (carry) theta.set(forked.theta);
  else rebase(trained, () => theta.set(forked.theta));
  if (carry) trained.ahead = add(trained.ahead, init.book.between(to.block, stand.block));
  trained.stand = to;
  dropPending(trained);
}

function install(
  trained: Trained,
  at: Stand,
  values: Float32Array,
  own: { readonly blob: Cid; readonly clip: number } | undefined,
): void {
  const { init, theta, pending } = trained;
  const input = own && pending?.blob === own.blob ? pending : undefined;
  const bytes = own && init.blobOf(own.blob);
  const delta = bytes && input && init.reader.read(own.blob, bytes, { author: init.self, base: input.base });
  if (own && delta) {
    includeOwn(trained, own.blob, own.clip, delta);
    leave(trained, init.book.piecesOf(own.blob));
  }
  rebase(trained, () => theta.set(values));
  trained.stand = at;
  trained.applied = [];
  dropPending(trained);
}
