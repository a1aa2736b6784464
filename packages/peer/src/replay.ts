/**
 * θ from the first round on, computed as every peer computed it: deltas decoded, clipped, averaged, one outer step. The
 * replay knows θ as long as it has all deltas. Where one was pruned it knows it no longer, until a height whose state
 * is kept as a snapshot: from there it goes on.
 */
import {
  type Cid,
  digestOfCid,
  FactError,
  nameBlob,
  publicKeyOf,
  type RunConfig,
  runDigest,
} from '@murmuration/base';
import {
  aggregate,
  applyUpdate,
  decodeDelta,
  deltaLimits,
  deltaNorm,
  type WeightedDelta,
} from '@murmuration/delta';
import { initializeParameters, parametersOf, readModel } from '@murmuration/onnx';
import type { AggregationInput, Block } from '@murmuration/protocol';
import { hashBytes } from '@murmuration/store';
import type { LedgerSource } from './ledger-source.ts';

/** Blocks whose θ was computed and found to be what they say. */
export interface ReplayedRange {
  readonly from: number;
  readonly to: number;
  /** Height of the state that it was computed from; 0: the initial parameters. */
  readonly base: number;
}

/** A replay that stands before the first block. */
export interface Replay {
  /** Begins to fetch the deltas of a block to come, if θ may be known by then. */
  expect(block: Block): void;
  /** Goes on to the next block. Says what is wrong when its θ is not the one that its deltas give. */
  follow(block: Block): Promise<string | undefined>;
  readonly ranges: readonly ReplayedRange[];
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
const nameOf = (values: Float32Array): Cid => nameBlob(bytesOf(values), hashBytes).cid;

/** The values of a state's bytes, if they are as many as the run has. */
function valuesOf(bytes: Uint8Array | undefined, { initial }: RunConfig): Float32Array | undefined {
  if (bytes?.length !== 4 * initial.parameters) return undefined;
  const values = new Float32Array(initial.parameters);
  bytesOf(values).set(bytes);
  return values;
}

/** θ₀, drawn from the run's seed or read; nothing where it cannot be had. */
async function firstParameters(source: LedgerSource): Promise<Float32Array | undefined> {
  const { run } = source;
  const { seed, tensors, parameters } = run.initial;
  if (seed === undefined) return valuesOf(await source.blob(tensors, 4 * parameters), run);
  const graph = await source.blob(run.model.graph, run.model.bytes);
  return graph && initializeParameters(parametersOf(readModel(graph)), seed);
}

class ThetaReplay implements Replay {
  readonly #source: LedgerSource;
  readonly #ranges: ReplayedRange[] = [];
  readonly #loading = new Map<number, Promise<readonly (Uint8Array | undefined)[]>>();
  #theta: Float32Array | undefined;
  #from = 1;
  #base = 0;
  #height = 0;

  constructor(source: LedgerSource, theta: Float32Array | undefined) {
    this.#source = source;
    this.#theta = theta;
  }

  get ranges(): readonly ReplayedRange[] {
    const isOpen = this.#theta !== undefined && this.#height >= this.#from;
    return isOpen
      ? [...this.#ranges, { from: this.#from, to: this.#height, base: this.#base }]
      : this.#ranges;
  }

  expect({ height, execution }: Block): void {
    if (!this.#theta || execution.inputs.length === 0) return;
    const loading = this.#load(execution.inputs);
    loading.catch(() => undefined);
    this.#loading.set(height, loading);
  }

  async follow(block: Block): Promise<string | undefined> {
    const problem = this.#theta && (await this.#apply(this.#theta, block));
    if (problem) return problem;
    this.#height = block.height;
    if (!this.#theta && block.height % this.#source.run.snapshotEvery === 0) await this.restore(block);
    return undefined;
  }

  #load(inputs: readonly AggregationInput[]): Promise<readonly (Uint8Array | undefined)[]> {
    return Promise.all(inputs.map(({ blob, blobBytes }) => this.#source.blob(blob, blobBytes)));
  }

  async #apply(theta: Float32Array, { height, execution, tensors }: Block): Promise<string | undefined> {
    if (execution.inputs.length === 0) return undefined;
    const blobs = await (this.#loading.get(height) ?? this.#load(execution.inputs));
    this.#loading.delete(height);
    if (blobs.some((bytes) => bytes === undefined)) {
      this.#ranges.splice(0, Number.POSITIVE_INFINITY, ...this.ranges);
      this.#theta = undefined;
      this.#loading.clear();
      return undefined;
    }
    const inputs: WeightedDelta[] = [];
    for (const [index, input] of execution.inputs.entries()) {
      const read = this.#decode(input, blobs[index] as Uint8Array);
      if (typeof read === 'string') return read;
      inputs.push(read);
    }
    const update = aggregate(inputs, { kappa: execution.kappa, length: theta.length });
    applyUpdate(theta, update, execution.outerStep);
    const name = nameOf(theta);
    return name === tensors ? undefined : `its deltas give the parameters ${name}, it says ${tensors}`;
  }

  #decode({ author, base, norm, clip, weight }: AggregationInput, bytes: Uint8Array): WeightedDelta | string {
    try {
      const { delta } = decodeDelta(bytes, {
        ...deltaLimits(this.#source.run),
        expected: {
          runDigest: runDigest(this.#source.runId),
          base: digestOfCid(base),
          author: publicKeyOf(author),
        },
      });
      const found = deltaNorm(delta);
      return found === norm
        ? { delta, clip, weight }
        : `the delta of ${author} has the norm ${found}, it announced ${norm}`;
    } catch (error) {
      if (error instanceof FactError) return `the delta of ${author}: ${error.message}`;
      throw error;
    }
  }

  /** Begins anew with the parameters after a block, if they are kept. */
  async restore({ height, tensors }: Block): Promise<void> {
    const { run } = this.#source;
    this.#theta = valuesOf(await this.#source.blob(tensors, 4 * run.initial.parameters), run);
    this.#base = height;
    this.#from = height + 1;
  }
}

/**
 * Begins with the initial parameters, or with those of the checkpoint's block where the ledger begins at one. Returns
 * what is wrong with the initial ones when they are not those that the run names. Throws what reading the run's graph
 * throws.
 */
export async function createReplay(source: LedgerSource, checkpoint?: Block): Promise<Replay | string> {
  if (checkpoint) {
    const replay = new ThetaReplay(source, undefined);
    await replay.restore(checkpoint);
    return replay;
  }
  const theta = await firstParameters(source);
  const { tensors } = source.run.initial;
  const name = theta && nameOf(theta);
  return name === undefined || name === tensors
    ? new ThetaReplay(source, theta)
    : `the seed gives the parameters ${name}, the run says ${tensors}`;
}
