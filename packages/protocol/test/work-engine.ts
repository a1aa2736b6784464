/**
 * An engine for tests of the protocol. θ says which pieces of work are in it, and how often; deltas are what local
 * training added, whole numbers, so that every piece can be followed. It complains of calls that a real engine refuses.
 */
import { type Cid, cidOf, encodeCbor } from '@murmuration/base';
import type { BlockId, Effect, Execution } from '@murmuration/protocol';

/** How often each piece of work is in a vector. */
export type Work = ReadonlyMap<number, number>;

export const add = (to: Work, what: Work, factor = 1): Work => {
  const sum = new Map(to);
  for (const [unit, count] of what) {
    const total = (sum.get(unit) ?? 0) + factor * count;
    if (total === 0) sum.delete(unit);
    else sum.set(unit, total);
  }
  return sum;
};

const nameOf = (theta: Work): Cid => cidOf(encodeCbor([...theta].sort(([a], [b]) => a - b)));

interface Stand {
  readonly block: BlockId;
  readonly height: number;
}

interface Applied extends Stand {
  readonly before: Stand;
  readonly change: Work;
  readonly carried: boolean;
  readonly own: { readonly work: Work; readonly pending: Pending | undefined } | undefined;
}

interface Pending {
  readonly blob: Cid;
  readonly work: Work;
}

export interface EngineState {
  theta: Work;
  local: Work;
  stand: Stand | undefined;
  applied: Applied[];
  pending: Pending | undefined;
  fork: { readonly block: BlockId; readonly theta: Work } | undefined;
  draft: Record<string, unknown> | undefined;
}

export interface EngineInit {
  /** What a delta says that this peer must hold. */
  workOf(blob: Cid): Work;
  complain(problem: string): void;
}

export interface WorkEngine {
  /** The name of θ after an execution. */
  execute(effect: Extract<Effect, { kind: 'execute' }>): Cid;
  apply(effect: Extract<Effect, { kind: 'apply' }>): void;
  undo(effect: Extract<Effect, { kind: 'undo' }>): void;
  forgetUndo(block: BlockId): void;
  rewind(effect: Extract<Effect, { kind: 'rewind' }>): void;
}

/** The engine's answers to effects. */
export const createWorkEngine = (state: EngineState, init: EngineInit): WorkEngine =>
  new WorkCounter(state, init);

class WorkCounter implements WorkEngine {
  readonly #state: EngineState;
  readonly #init: EngineInit;

  constructor(state: EngineState, init: EngineInit) {
    this.#state = state;
    this.#init = init;
  }

  execute({ execution }: Extract<Effect, { kind: 'execute' }>): Cid {
    let { theta } = this.#state;
    let at = this.#state.stand?.block ?? execution.parent;
    for (const record of this.#state.applied.toReversed()) {
      if (at === execution.parent) break;
      theta = add(theta, record.change, -1);
      at = record.before.block;
    }
    if (at !== execution.parent) this.#init.complain(`executes on a block that it cannot reach`);
    return nameOf(add(theta, this.#changeOf(execution)));
  }

  apply({ block, own, carried = false }: Extract<Effect, { kind: 'apply' }>): void {
    const { id, height, parent } = block;
    const state = this.#state;
    const { complain, workOf } = this.#init;
    const before = state.stand ?? { block: parent, height: height - 1 };
    if (before.block !== parent) complain(`applies ${height} on another block`);
    const mine = block.contributions.find(({ cid }) => cid === own);
    const change = this.#changeOf(block.execution);
    if (carried) state.theta = add(state.theta, change);
    else this.#move(change);
    let undo: Applied['own'];
    if (mine) {
      const work = workOf(mine.blob);
      const isPending = state.pending?.blob === mine.blob;
      undo = { work, pending: isPending ? state.pending : undefined };
      state.local = add(state.local, work, -1);
      if (isPending) state.pending = undefined;
    }
    state.applied = [...state.applied, { block: id, height, before, change, carried, own: undo }];
    state.stand = { block: id, height };
    if (nameOf(state.theta) !== block.tensors) complain(`G2: has another θ at ${height}`);
  }

  undo({ block }: Extract<Effect, { kind: 'undo' }>): void {
    const state = this.#state;
    const last = state.applied.at(-1);
    if (last?.block !== block) {
      this.#init.complain(`undoes a block that is not its newest`);
      return;
    }
    state.applied = state.applied.slice(0, -1);
    if (last.carried) state.theta = add(state.theta, last.change, -1);
    else this.#move(last.change, -1);
    if (last.own) state.local = add(state.local, last.own.work);
    if (last.own?.pending) state.pending = last.own.pending;
    state.stand = last.before;
  }

  forgetUndo(block: BlockId): void {
    const { applied } = this.#state;
    this.#state.applied = applied.slice(applied.findIndex((record) => record.block === block) + 1);
  }

  rewind({ block, height, carry }: Extract<Effect, { kind: 'rewind' }>): void {
    const state = this.#state;
    const { fork } = state;
    if (fork?.block !== block || state.applied.length > 0) {
      this.#init.complain(`rewinds to a block that it did not keep`);
      return;
    }
    if (!carry) state.local = add(state.local, add(fork.theta, state.theta, -1));
    state.theta = fork.theta;
    state.stand = { block, height };
    state.pending = undefined;
  }

  #changeOf({ inputs }: Execution): Work {
    return inputs.reduce<Work>((sum, { blob }) => add(sum, this.#init.workOf(blob)), new Map());
  }

  #move(change: Work, factor = 1): void {
    this.#state.theta = add(this.#state.theta, change, factor);
    this.#state.local = add(this.#state.local, change, factor);
  }
}

/** θ and the local parameters as they were without the blocks that can be undone. */
export function undone({ theta, local, applied }: EngineState): {
  readonly theta: Work;
  readonly local: Work;
} {
  let state = { theta, local };
  for (const { change, own, carried } of applied.toReversed()) {
    const before = carried ? state.local : add(state.local, change, -1);
    state = { theta: add(state.theta, change, -1), local: own ? add(before, own.work) : before };
  }
  return state;
}

export const emptyEngine = (): EngineState => ({
  theta: new Map(),
  local: new Map(),
  stand: undefined,
  applied: [],
  pending: undefined,
  fork: undefined,
  draft: undefined,
});
