/**
 * A trainer without tensors: θ is a name that follows from the parent's name and the inputs by hashing, so roots are
 * equal exactly when histories are. It enforces what the real engine demands of the order of calls.
 */
import { type Cid, cidOf, encodeCbor } from '@murmuration/base';
import type { Block, BlockId, Execution } from '@murmuration/protocol';

interface Stand {
  readonly block: BlockId;
  readonly height: number;
  readonly tensors: Cid;
}

/** The own delta that waits for a block. */
interface Pending {
  readonly blob: Cid;
  readonly base: BlockId;
  readonly baseHeight: number;
}

/** All that a checkpoint keeps. */
export interface TinyState {
  readonly settled: Stand;
  /** Each with the pending delta that it took, to be pending again when the block is undone. */
  readonly applied: readonly (Stand & { readonly took: Pending | undefined })[];
  readonly pending: Pending | undefined;
}

export interface TinyEngine {
  readonly state: TinyState;
  head(): Stand;
  encode(blob: Cid, base: BlockId, baseHeight: number): void;
  execute(execution: Execution): Cid | undefined;
  /** `own` is our contribution in the block: what it says leaves the local parameters. */
  apply(block: Block, own: Cid | undefined): void;
  undo(block: BlockId): void;
  settle(block: BlockId): void;
  expire(blob: Cid): void;
  install(stand: Stand): void;
}

const resultOf = (parent: Cid, { inputs, kappa, outerStep }: Execution): Cid =>
  inputs.length === 0
    ? parent
    : cidOf(
        encodeCbor([parent, inputs.map(({ blob, clip, weight }) => [blob, clip, weight]), kappa, outerStep]),
      );

/** `complain` is told of every call that a real engine would refuse. */
export function createTinyEngine(initial: TinyState, complain: (problem: string) => void): TinyEngine {
  let { settled, pending } = initial;
  let applied = [...initial.applied];
  const head = (): Stand => applied.at(-1) ?? settled;
  const standAt = (block: BlockId): Stand | undefined =>
    [settled, ...applied].find((stand) => stand.block === block);
  return {
    get state() {
      return { settled, applied: [...applied], pending };
    },
    head,
    encode(blob, base, baseHeight) {
      if (base !== head().block) complain(`encode from ${base}, but the engine stands at ${head().block}`);
      if (pending) complain(`encode ${blob}, but ${pending.blob} is pending`);
      pending = { blob, base, baseHeight };
    },
    execute(execution) {
      const parent = standAt(execution.parent);
      if (!parent)
        complain(`execute on ${execution.parent} of height ${execution.height - 1}, which is not applied`);
      return parent && resultOf(parent.tensors, execution);
    },
    apply(block, own) {
      if (head().block !== block.parent)
        complain(
          `apply ${block.height} on ${block.parent}, but the engine stands at ${head().block} (${head().height})`,
        );
      const tensors = resultOf(head().tensors, block.execution);
      if (tensors !== block.tensors) complain(`apply ${block.height}: θ is not what the header says`);
      const blob = block.contributions.find(({ cid }) => cid === own)?.blob;
      const took = blob !== undefined && blob === pending?.blob ? pending : undefined;
      if (took) pending = undefined;
      applied.push({ block: block.id, height: block.height, tensors, took });
    },
    undo(block) {
      const last = applied.pop();
      if (last?.block !== block) complain(`undo ${block}, but the engine stands at ${last?.block}`);
      if (last?.took) pending = last.took;
    },
    settle(block) {
      const index = applied.findIndex((stand) => stand.block === block);
      if (index !== 0) complain(`settle ${block}, which is not the oldest applied block`);
      settled = applied[index] ?? settled;
      applied = applied.slice(index + 1);
    },
    expire(blob) {
      if (pending?.blob === blob) pending = undefined;
    },
    install(stand) {
      settled = stand;
      applied = [];
      pending = undefined;
    },
  };
}
