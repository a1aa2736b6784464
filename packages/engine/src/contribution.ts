import {
  assert,
  digestOfCid,
  nameBlob,
  type PeerId,
  publicKeyOf,
  type RunConfig,
  tokensPerStep,
} from '@murmuration/base';
import { DeltaError, deltaNorm, encodeDelta } from '@murmuration/delta';
import { EngineError } from './errors.ts';
import type { Executor } from './execution.ts';
import { type CoordinateRange, difference, type Head, message, type Pending } from './head.ts';
import { sha256 } from './names.ts';
import type { TrainingCounters } from './training.ts';

/**
 * Makes the pending delta of what was trained since the last one, at the head: D = θ − θ_local, u = β·e + D, the blob
 * is encode(u). The coordinates `kept` stay here. Counts steps anew. Throws `EngineError` `already-pending`,
 * `nothing-to-encode`, `not-finite`.
 */
export function encodePending(
  head: Head,
  counters: TrainingCounters,
  executor: Executor,
  from: {
    readonly run: RunConfig;
    readonly runDigest: Uint8Array;
    readonly self: PeerId;
    readonly kept: readonly CoordinateRange[];
    readonly k: number;
  },
): Pending {
  const { run, runDigest, self, kept, k } = from;
  const { feedback, bits, k: kMax, kMin } = run.delta;
  assert(k >= kMin && k <= kMax, `k from ${kMin} to ${kMax}, got ${k}`);
  if (head.pending)
    throw new EngineError(`delta ${head.pending.delta.blob} is still pending; one may be`, {
      code: 'already-pending',
      blob: head.pending.delta.blob,
    });
  if (counters.stepsSinceEncode === 0)
    throw new EngineError('expected inner steps since the last encode, got none', {
      code: 'nothing-to-encode',
    });
  const { block: base, height: baseHeight } = head.position;
  const d = difference(head, kept);
  try {
    const header = { runDigest, base: digestOfCid(base), author: publicKeyOf(self) };
    const bytes = encodeDelta(message(head, d, feedback, kept), header, { k, bits });
    const { cid: blob } = nameBlob(bytes, sha256);
    const norm = deltaNorm(executor.decode(blob, bytes, self, base));
    const steps = counters.stepsSinceEncode;
    const tokens = steps * tokensPerStep(run);
    const loss = counters.lossSum / steps;
    head.pending = { delta: { blob, bytes, base, baseHeight, norm, tokens, steps, loss }, difference: d };
    counters.stepsSinceEncode = 0;
    counters.lossSum = 0;
    return head.pending;
  } catch (error) {
    if (!(error instanceof DeltaError)) throw error;
    const code =
      error.code === 'zero' ? 'nothing-to-encode' : error.code === 'not-finite' ? 'not-finite' : 'internal';
    throw new EngineError(error.message, { code }, { cause: error });
  }
}
