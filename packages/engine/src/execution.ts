/** What a block makes of θ: deltas decoded, clipped, averaged, one outer step. The same bits on every machine. */

import { type Cid, digestOfCid, FactError, nameBlob, type PeerId, publicKeyOf } from '@murmuration/base';
import {
  aggregate,
  applyUpdate,
  type DeltaLimits,
  decodeDelta,
  deltaNorm,
  revertUpdate,
  type SparseDelta,
} from '@murmuration/delta';
import { decodedBytesMax, executionsMax } from './defaults.ts';
import { EngineError } from './errors.ts';
import { gather, type Head, type SparseVector, withParametersAfter } from './head.ts';
import type { ExecutionInput } from './index.ts';
import { nameVector, sha256 } from './names.ts';

/** θ after an execution: its name, and its values where they differ from the parent's. */
export interface ExecutionResult {
  readonly tensors: Cid;
  readonly after: SparseVector;
}

export interface Executor {
  /** Decodes a delta that must come from this author and base. Throws `DeltaError`. */
  decode(blob: Cid, bytes: Uint8Array, author: PeerId, base: Cid): SparseDelta;
  /** Why these bytes are no valid delta of the run, or nothing. */
  problem(bytes: Uint8Array, expected: { author: PeerId; base: Cid; norm: number }): string | undefined;
  /** Throws `EngineError` `unknown-parent`, `missing-blob`, `bad-blob`. */
  execute(head: Head, execution: ExecutionInput, blobs: ReadonlyMap<Cid, Uint8Array>): ExecutionResult;
}

/** A map that forgets its oldest entries beyond a total size. */
class BoundedCache<Value> {
  readonly #entries = new Map<string, { readonly value: Value; readonly size: number }>();
  readonly #sizeMax: number;
  #size = 0;

  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
    }
    return entry?.value;
  }

  set(key: string, value: Value, size: number): void {
    this.#size += size - (this.#entries.get(key)?.size ?? 0);
    this.#entries.delete(key);
    this.#entries.set(key, { value, size });
    for (const [oldest, entry] of this.#entries) {
      if (this.#size <= this.#sizeMax || oldest === key) break;
      this.#entries.delete(oldest);
      this.#size -= entry.size;
    }
  }
}

/** What a run's deltas must be. */
interface ExecutedRun {
  readonly runDigest: Uint8Array;
  readonly limits: DeltaLimits;
}

/** Decodes deltas, and keeps them for their next use. */
function createDecoder(run: ExecutedRun): Executor['decode'] {
  const decoded = new BoundedCache<SparseDelta>(decodedBytesMax);
  return (blob, bytes, author, base) => {
    const key = `${blob}/${author}/${base}`;
    const known = decoded.get(key);
    if (known) return known;
    const { delta } = decodeDelta(bytes, {
      ...run.limits,
      expected: { runDigest: run.runDigest, base: digestOfCid(base), author: publicKeyOf(author) },
    });
    decoded.set(key, delta, delta.indices.byteLength + delta.values.byteLength);
    return delta;
  };
}

function decodeInputs(
  decode: Executor['decode'],
  execution: ExecutionInput,
  blobs: ReadonlyMap<Cid, Uint8Array>,
) {
  return execution.inputs.map(({ author, base, blob, clip, weight }) => {
    const bytes = blobs.get(blob);
    if (!bytes)
      throw new EngineError(`block of height ${execution.height}: blob ${blob} is missing`, {
        code: 'missing-blob',
        blob,
      });
    return { delta: decode(blob, bytes, author, base), clip, weight };
  });
}

/** Decodes and executes for one run; keeps what `apply` will need again. */
export function createExecutor(run: ExecutedRun): Executor {
  const decode = createDecoder(run);
  const results = new BoundedCache<ExecutionResult>(executionsMax);

  function compute(
    head: Head,
    execution: ExecutionInput,
    blobs: ReadonlyMap<Cid, Uint8Array>,
  ): ExecutionResult {
    try {
      const update = aggregate(decodeInputs(decode, execution, blobs), {
        kappa: execution.kappa,
        length: run.limits.parameters,
      });
      return withParametersAfter(head, execution.parent, (theta) => {
        const undo = applyUpdate(theta, update, execution.outerStep);
        try {
          return { tensors: nameVector(theta).cid, after: gather(theta, undo.indices) };
        } finally {
          revertUpdate(theta, undo);
        }
      });
    } catch (error) {
      if (error instanceof EngineError || !(error instanceof FactError)) throw error;
      throw new EngineError(
        `block of height ${execution.height}: ${error.message}`,
        { code: 'bad-blob', height: execution.height },
        { cause: error },
      );
    }
  }

  return {
    decode,
    problem(bytes, expected) {
      try {
        const delta = decode(nameBlob(bytes, sha256).cid, bytes, expected.author, expected.base);
        const norm = deltaNorm(delta);
        return norm === expected.norm ? undefined : `expected norm ${expected.norm}, got ${norm}`;
      } catch (error) {
        if (error instanceof FactError) return error.message;
        throw error;
      }
    },
    execute(head, execution, blobs) {
      const key = JSON.stringify(execution);
      const known = results.get(key);
      if (known) return known;
      const result = compute(head, execution, blobs);
      results.set(key, result, 1);
      return result;
    },
  };
}
