/**
 * What all peers of a run agree on before it starts. Its dag-cbor bytes are hashed into the run's id, so a peer
 * that would change one number is in another run. Schedules are tables: nothing here needs a logarithm or a cosine
 * where it feeds the state root.
 */
import { z } from 'zod';
import {
  type Cid,
  cidOfDigest,
  decodeCbor,
  digestOfCid,
  encodeCbor,
  type PeerId,
  parseCid,
  publicKeyOf,
  sha256,
} from './digest.ts';
import { FactError } from './errors.ts';

/** Version of the messages, the ledger and the rules of a run; another version is another run. */
export const protocolVersion = 1;

/** Settings that make no run (`invalid`), or one of another release (`unknown-version`). */
export class RunConfigError extends FactError<'invalid' | 'unknown-version'> {}

const parses =
  (parse: (text: string) => unknown) =>
  (text: string): boolean => {
    try {
      parse(text);
      return true;
    } catch {
      return false;
    }
  };
const cid = z
  .string()
  .refine(parses(parseCid), 'expected a CIDv1')
  .transform((text) => text as Cid);
const peerId = z
  .string()
  .refine(parses(publicKeyOf), 'expected an Ed25519 peer id')
  .transform((text) => text as PeerId);
const count = z
  .int()
  .min(1)
  .max(2 ** 31);
const fraction = z.number().min(0).max(1);
/** The decay of a running mean: at 1 it would never move. */
const decay = z.number().min(0).lt(1);
const positive = z.number().positive();

const whole = (kinds: string) => ({ error: `expected ${kinds}` });

/** What samples are made of. */
const dataSchema = z.discriminatedUnion(
  'kind',
  [
    /** Windows of `context` tokens from text: the graph's inputs are `tokens` and `targets`. */
    z.strictObject({
      kind: z.literal('text'),
      tokenizer: z.literal('bytes'),
      context: z.int().min(2).max(65_536),
    }),
    /** Rows of arrays that are named after the graph's inputs. */
    z.strictObject({ kind: z.literal('arrays') }),
  ],
  whole("kind 'text' or 'arrays'"),
);

/** β₁, β₂ and ε of AdamW (Loshchilov & Hutter 2019). */
const moments = { beta1: decay, beta2: decay, epsilon: positive };
const momentum = { momentum: decay, nesterov: z.boolean() };

const optimizerSchema = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({ kind: z.literal('adamw'), ...moments }),
    z.strictObject({ kind: z.literal('sgd'), ...momentum }),
    /** Matrices by orthogonalized momentum (Jordan et al. 2024), all else by AdamW. */
    z.strictObject({
      kind: z.literal('muon'),
      ...momentum,
      /** Newton–Schulz iterations. */
      iterations: z.int().min(1).max(16),
      /** Learning rate of all that is no matrix, as a multiple of that of the matrices. */
      rateOfVectors: positive,
      ...moments,
    }),
  ],
  whole("kind 'adamw', 'sgd' or 'muon'"),
);

/** What follows the warm-up. `floor` is the learning rate at the end, as a fraction of the peak. */
const scheduleSchema = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({ kind: z.literal('constant') }),
    z.strictObject({ kind: z.literal('cosine'), floor: fraction }),
    /** Warm-up, stable, decay: a line down to the floor over the last `decayRounds`. */
    z.strictObject({ kind: z.literal('wsd'), floor: fraction, decayRounds: count }),
  ],
  whole("kind 'constant', 'cosine' or 'wsd'"),
);

const runConfigSchema = z.strictObject({
  protocol: z.literal(protocolVersion),
  /** 128 random bits in hex: two runs with the same settings are still two runs. */
  nonce: z.string().regex(/^[0-9a-f]{32}$/, 'expected 32 hex digits'),
  name: z.string().min(1).max(64),
  model: z.strictObject({
    /** The forward graph: an ONNX model without weights, as a blob. */
    graph: cid,
    bytes: count,
    /** Weights that never train: one flat vector of so many float32 values, as a blob. */
    frozen: z.strictObject({ tensors: cid, values: count }).exactOptional(),
  }),
  data: dataSchema,
  /** Samples per micro-batch. */
  batch: z.int().min(1).max(65_536),
  /** The CID of θ₀'s bytes as a blob, and the seed that they are drawn from. Without one the blob is fetched. */
  initial: z.strictObject({
    tensors: cid,
    parameters: count,
    seed: z.string().min(1).max(64).exactOptional(),
  }),
  inner: z.strictObject({
    optimizer: optimizerSchema,
    learningRate: positive,
    /** Decoupled: a step shrinks a parameter by learningRate · weightDecay, whatever the optimizer. */
    weightDecay: z.number().min(0),
    /** Euclidean norm that a step's gradient is scaled down to. */
    clipNorm: positive,
    warmupRounds: z.int().min(0).max(1_000_000),
    schedule: scheduleSchema,
    /** Micro-batches whose gradients are averaged into one step. */
    accumulate: z.int().min(1).max(1_024),
  }),
  round: z.strictObject({
    /** Inner steps between two contributions of a peer. */
    steps: count,
    /**
     * Inner steps of a peer on top of a delta that is being certified. More of them waste less time, fewer lose less
     * to staleness. After `viewTimeoutMs` without a decision the peer trains on, whatever this says.
     */
    overlapSteps: z
      .int()
      .min(0)
      .max(2 ** 31),
    /** How long a ready quorum waits for the other members, ms. */
    graceMs: z.int().min(0).max(86_400_000),
    /** After this long a member is ready whatever it holds, ms. */
    durationMaxMs: z.int().min(100).max(86_400_000),
    /** First view timer after a final block, ms; ×1.5 per view since. */
    viewTimeoutMs: z.int().min(50).max(86_400_000),
  }),
  delta: z.strictObject({
    chunk: z.literal(4_096),
    /**
     * Most values that a delta may say of a chunk, and what a peer sends whose uplink carries it; a slower one sends
     * fewer, but never less than `kMin`.
     */
    k: z.int().min(1).max(1_024),
    kMin: z.int().min(1).max(1_024),
    /** Of each value, in every delta of the run. */
    bits: z.literal([1, 2, 4, 8]),
    /** β of error feedback: u = β·e + D. */
    feedback: fraction,
    blobBytesMax: count,
  }),
  aggregation: z.strictObject({
    rule: z.literal('mean'),
    /** Divisor of a coordinate: max(Σ weights of its senders, κ · Σ weights of all). */
    kappa: fraction,
    /** Guests together weigh at most this share of the members' weight. */
    guestShare: fraction,
    contributionsMax: z.int().min(1).max(256),
  }),
  /** Outer step α from each round on; the first entry is for round 0. */
  outer: z
    .array(z.strictObject({ fromRound: z.int().min(0), step: z.number().positive() }))
    .min(1)
    .max(1_000),
  quorum: z.enum(['crash', 'byzantine']),
  founders: z.array(peerId).min(1).max(64),
  /** How many founders must sign an invitation. */
  invitationSignatures: z.int().min(1).max(64),
  membership: z.strictObject({
    /** Members that vote in one epoch. With more members a committee of so many votes, another one in each epoch. */
    votersMax: z.int().min(1).max(128),
    /** `crash` runs: a guest is a member once it is in so many certified rounds; 0: by invitation only. */
    earnedAfter: z.int().min(0).max(1_000_000),
    /** `crash` runs: a member retires that was in none of so many rounds; 0: never. */
    silentAfter: z.int().min(0).max(1_000_000),
    /** `crash` runs: when nothing was certified for so long, survivors may open a recovery, ms; 0: never. */
    stallMs: z
      .int()
      .min(0)
      .max(2 ** 31),
  }),
  /** A contribution may enter a block up to this many heights after its base. */
  lateHeights: z.int().min(1).max(16),
  /** Members keep the state of the last two heights divisible by this. */
  snapshotEvery: z.int().min(1).max(65_536),
  /** The run ends with the block of this height. */
  rounds: count,
});

/** The validated settings of a run. */
export type RunConfig = z.infer<typeof runConfigSchema>;
/** The same before validation: CIDs and peer ids are plain text. */
export type RunConfigInput = z.input<typeof runConfigSchema>;

const textLengthMax = 60;

/** A value in so few words that it fits into an error message. */
function inWords(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string')
    return JSON.stringify(value.length > textLengthMax ? `${value.slice(0, textLengthMax)}…` : value);
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

const valueAt = (whole: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (value, key) => (value as Record<PropertyKey, unknown> | null | undefined)?.[key],
    whole,
  );

/**
 * Lists what a zod error found as `key: expected …, got …`, so that the reader sees which key, what was expected and
 * (when the checked value is given) what came.
 */
export const describeIssues = (error: z.ZodError, checked?: unknown): string =>
  error.issues
    .map(({ code, path, message }) => {
      const expected = message.replace(/^Invalid (input|option): /, '').replace(/, received .*$/, '');
      const came =
        code === 'unrecognized_keys' || checked === undefined
          ? ''
          : `, got ${inWords(valueAt(checked, path))}`;
      return `${path.join('.') || '(whole)'}: ${expected}${came}`;
    })
    .join('; ');

/** Validates a run's settings; throws `RunConfigError` that names each bad key. */
export function parseRunConfig(value: unknown): RunConfig {
  const version = (value as { protocol?: unknown } | null)?.protocol;
  if (typeof version === 'number' && version !== protocolVersion)
    throw new RunConfigError(
      `expected protocol version ${protocolVersion}, got ${version}: another release of murmur made this run`,
      {
        code: 'unknown-version',
        version,
      },
    );
  const result = runConfigSchema.safeParse(value);
  if (!result.success)
    throw new RunConfigError(`run settings: ${describeIssues(result.error, value)}`, {
      code: 'invalid',
      issues: result.error.issues,
    });
  const run = result.data;
  const { schedule } = run.inner;
  const outerStarts = run.outer.map(({ fromRound }) => fromRound);
  const problem =
    new Set(run.founders).size !== run.founders.length
      ? 'founders: expected different peers'
      : run.invitationSignatures > run.founders.length
        ? `invitationSignatures: expected at most ${run.founders.length} (the founders), ` +
          `got ${run.invitationSignatures}`
        : outerStarts[0] !== 0 ||
            outerStarts.some((start, index) => index > 0 && start <= (outerStarts[index - 1] as number))
          ? `outer: expected rising fromRound that start at 0, got ${outerStarts}`
          : schedule.kind === 'wsd' && schedule.decayRounds > run.rounds
            ? `inner.schedule.decayRounds: expected at most ${run.rounds} (the rounds), got ${schedule.decayRounds}`
            : run.delta.kMin > run.delta.k
              ? `delta.kMin: expected at most ${run.delta.k} (delta.k), got ${run.delta.kMin}`
              : problemOfMembership(run);
  if (problem) throw new RunConfigError(`run settings: ${problem}`, { code: 'invalid' });
  return run;
}

/** What is safe only where nobody lies. */
function problemOfMembership({ quorum, membership }: RunConfig): string | undefined {
  if (quorum === 'crash') return undefined;
  const keys = ['earnedAfter', 'silentAfter', 'stallMs'] as const;
  const set = keys.find((key) => membership[key] !== 0);
  return set && `membership.${set}: expected 0 in a byzantine run, got ${membership[set]}`;
}

/** The canonical bytes of a run's settings: the blob that a newcomer fetches by the run's id. */
export const encodeRunConfig = (run: RunConfig): Uint8Array => encodeCbor(run);

/** Reads settings that came from the network or the disk. Throws `DigestError` or `RunConfigError`. */
export const decodeRunConfig = (bytes: Uint8Array): RunConfig => parseRunConfig(decodeCbor(bytes));

/** The run's id: the CID (codec raw, so that the settings are an ordinary blob) of its settings' bytes. */
export const runIdOf = (run: RunConfig): Cid => cidOfDigest(sha256(encodeRunConfig(run)));

/** The 32 bytes that stand for the run in signatures and headers. */
export const runDigest = (runId: Cid): Uint8Array => digestOfCid(runId);

/** The outer step α of a round. */
export function outerStepAt(run: RunConfig, round: number): number {
  const entry = run.outer.findLast(({ fromRound }) => fromRound <= round);
  return (entry ?? (run.outer[0] as { step: number })).step;
}

/** What the work of a run is counted in. */
export const unitOf = ({ data }: Pick<RunConfig, 'data'>): 'tokens' | 'samples' =>
  data.kind === 'text' ? 'tokens' : 'samples';

/** Tokens of one inner step (samples, where data is arrays): what a contribution's weight counts. */
export const tokensPerStep = ({ data, batch, inner }: Pick<RunConfig, 'data' | 'batch' | 'inner'>): number =>
  batch * inner.accumulate * (data.kind === 'text' ? data.context : 1);
