/** A head as a checkpoint's facts and arrays, and back. The order of the arrays is the order of `describeHead`. */
import type { Cid } from '@murmuration/base';
import type { CheckpointArray, CheckpointContents } from './checkpoint.ts';
import type { AppliedBlock, BlockPosition, Head, OwnUndo, Pending, SparseVector } from './head.ts';
import type { EncodedDelta } from './index.ts';

interface AppliedFacts {
  readonly position: BlockPosition;
  readonly parent: BlockPosition;
  readonly carried: boolean;
  readonly own:
    | { readonly kind: 'none' }
    | { readonly kind: 'sent' }
    | { readonly kind: 'kept'; readonly delta: EncodedDelta; readonly clip: number };
}

interface HeadFacts {
  readonly position: BlockPosition;
  readonly pending: EncodedDelta | null;
  readonly applied: readonly AppliedFacts[];
}

const ownFacts = (own: OwnUndo | undefined): AppliedFacts['own'] =>
  own === undefined
    ? { kind: 'none' }
    : own.kind === 'sent'
      ? { kind: 'sent' }
      : { kind: 'kept', delta: own.delta, clip: own.own.clip };

const ownArrays = (own: OwnUndo | undefined): CheckpointArray[] =>
  own === undefined
    ? []
    : own.kind === 'sent'
      ? [own.change.indices, own.change.values]
      : [own.own.decoded.indices, own.own.decoded.values, own.residual];

/** What must be kept of a head. */
export function describeHead(head: Head): CheckpointContents {
  const facts: HeadFacts = {
    position: head.position,
    pending: head.pending?.delta ?? null,
    applied: head.applied.map(({ position, parent, carried, own }) => ({
      position,
      parent,
      carried,
      own: ownFacts(own),
    })),
  };
  return {
    state: facts,
    arrays: [
      head.parameters,
      head.local,
      head.residual,
      ...(head.pending ? [head.pending.difference] : []),
      ...head.applied.flatMap(({ before, own }) => [before.indices, before.values, ...ownArrays(own)]),
    ],
  };
}

/** Fills a head from what `describeHead` gave; `take` yields the arrays' bytes in order. */
export function restoreHead(head: Head, state: unknown, take: () => ArrayBuffer): void {
  const facts = state as HeadFacts;
  const floats = (): Float32Array => new Float32Array(take());
  const sparse = (): SparseVector => ({ indices: new Uint32Array(take()), values: floats() });
  const pending = (delta: EncodedDelta): Pending => ({ delta, difference: floats() });
  const ownOf = (own: AppliedFacts['own']): OwnUndo | undefined =>
    own.kind === 'none'
      ? undefined
      : own.kind === 'sent'
        ? { kind: 'sent', change: sparse() }
        : {
            kind: 'kept',
            delta: own.delta,
            own: { blob: own.delta.blob, clip: own.clip, decoded: sparse() },
            residual: floats(),
          };
  head.parameters.set(floats());
  head.local.set(floats());
  head.residual.set(floats());
  head.position = facts.position;
  head.pending = facts.pending ? pending(facts.pending) : undefined;
  head.applied = facts.applied.map(
    ({ position, parent, carried, own }): AppliedBlock => ({
      position,
      parent,
      carried,
      before: sparse(),
      own: ownOf(own),
    }),
  );
}

/** A head at genesis. */
export function createHead(parameters: Float32Array, local: Float32Array, genesis: Cid): Head {
  local.set(parameters);
  return {
    parameters,
    local,
    residual: new Float32Array(parameters.length),
    spare: undefined,
    position: { block: genesis, height: 0 },
    applied: [],
    pending: undefined,
  };
}
