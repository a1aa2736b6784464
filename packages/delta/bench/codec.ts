/** Question `codec`: how small, how exact and how fast are deltas, and how much memory do they take? See README.md. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nameBlob, peerIdOf } from '@murmuration/base';
import { nameVector } from '../../engine/src/names.ts';
import {
  aggregate,
  applyUpdate,
  chunkLength,
  type DeltaSettings,
  decodeDelta,
  deltaNorm,
  encodeDelta,
  revertUpdate,
  type SparseDelta,
  valueBits,
  type WeightedDelta,
} from '../src/index.ts';
import { announcementBytes } from './announcement.ts';
import { measureMemory } from './memory.ts';
import { language, realDelta, rounds, stepsPerRound } from './real-delta.ts';
import { dense, type Point, sparseLoCo, squares } from './rivals.ts';

export interface CodecFigures {
  /** Than float32, everything on the wire counted, at k = 64 and 1 bit. */
  readonly timesSmaller: number;
  /** Above log₂ C(4096, 64), the mean over the chunks of the real delta. */
  readonly indexOverheadPercent: number;
  /** Medians on one core at k = 64 and 1 bit. */
  readonly encodeMParamsPerSecond: number;
  readonly decodeMParamsPerSecond: number;
  /** 16 decoded deltas to one update, and that into θ. */
  readonly aggregate16x125MSeconds: number;
}

const densities = [4, 16, 64, 256, 1_024];
const chosen: DeltaSettings = { k: 64, bits: 1 };
const repetitions = 5;
const repetitionSeconds = 0.1;
const million = 1e6;
/** The large vector: 125 M parameters. */
const largeLength = 125 * million;
const inputCount = 16;
const [runDigest, base, author] = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const header = { runDigest, base, author };

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;

/** Seconds of one core: what the thread was given, in user and system mode, whatever else runs on the machine. */
function timed<Result>(work: () => Result): { readonly result: Result; readonly seconds: number } {
  const started = process.threadCpuUsage();
  const result = work();
  const { user, system } = process.threadCpuUsage(started);
  return { result, seconds: (user + system) / million };
}

/** Of one call; each repetition is long enough for the clock, which counts in milliseconds. */
function medianSeconds(work: () => unknown): number {
  const repeated = (): number => {
    let total = 0;
    let calls = 0;
    for (; total < repetitionSeconds; calls++) total += timed(work).seconds;
    return total / calls;
  };
  return median(Array.from({ length: repetitions }, repeated));
}

/** Bytes of a delta and of all that announces and frames it. */
function wireBytesOf(bytes: Uint8Array, delta: SparseDelta): number {
  const { cid } = nameBlob(bytes);
  const draft = {
    ...{ base: cid, baseHeight: 1_000, blob: cid, blobBytes: bytes.length },
    ...{ norm: deltaNorm(delta), tokens: 5_120, steps: 5, loss: 1.234 },
  };
  return bytes.length + announcementBytes(runDigest, peerIdOf(author), draft);
}

const logChoose = (n: number, k: number): number => {
  let bits = 0;
  for (let i = 0; i < k; i++) bits += Math.log2((n - i) / (i + 1));
  return bits;
};

/** Percent by which the index bits of whole chunks exceed log₂ C(4096, k); all other bits of a full chunk are known. */
function indexOverhead(vector: Float32Array, settings: DeltaSettings): number {
  const { k, bits } = settings;
  const whole = vector.subarray(0, vector.length - (vector.length % chunkLength));
  const bytes = encodeDelta(whole, header, settings);
  const { delta } = decodeDelta(bytes, { parameters: whole.length });
  const chunks = whole.length / chunkLength;
  if (delta.indices.length !== chunks * k) return Number.NaN;
  const others = 1 + 16 * Math.min(bits, 2) + bits * k;
  return 100 * (((bytes.length - 106) * 8 - chunks * others) / (chunks * logChoose(chunkLength, k)) - 1);
}

function errorOf(vector: Float32Array, { indices, values }: SparseDelta, whole: number): number {
  let left = whole;
  indices.forEach((index, i) => {
    const value = vector[index] as number;
    left += (value - (values[i] as number)) ** 2 - value * value;
  });
  return left / whole;
}

interface OurPoint extends Point {
  readonly wireBytes: number;
  readonly overhead: number;
  readonly encodeRate: number;
  readonly decodeRate: number;
}

function measure(vector: Float32Array, settings: DeltaSettings): OurPoint {
  const parameters = vector.length;
  const bytes = encodeDelta(vector, header, settings);
  const { delta } = decodeDelta(bytes, { parameters });
  return {
    name: `ours, k ${settings.k}, ${settings.bits} bit${settings.bits > 1 ? 's' : ''}`,
    bytes: bytes.length,
    wireBytes: wireBytesOf(bytes, delta),
    error: errorOf(vector, delta, squares(vector)),
    overhead: indexOverhead(vector, settings),
    encodeRate: parameters / million / medianSeconds(() => encodeDelta(vector, header, settings)),
    decodeRate: parameters / million / medianSeconds(() => decodeDelta(bytes, { parameters })),
  };
}

const row = (cells: readonly string[]): void => console.log(`| ${cells.join(' | ')} |`);
const heading = (cells: readonly string[]): void => {
  row(cells);
  row(cells.map((_, index) => (index === 0 ? '---' : '--:')));
};

function printPoints(vector: Float32Array, ours: readonly OurPoint[]): void {
  heading([
    'method',
    'bytes',
    'times smaller',
    'relative squared error',
    'index overhead',
    'encode',
    'decode',
  ]);
  const rivals = [
    ...[sparseLoCo(vector, 64), sparseLoCo(vector, 256)],
    ...(['int8', 'int4', 'FP4'] as const).map((name) => dense(vector, name)),
  ];
  for (const { name, wireBytes, error, overhead, encodeRate, decodeRate } of ours)
    row([
      ...[name, wireBytes.toLocaleString('en'), ((4 * vector.length) / wireBytes).toFixed(1)],
      ...[error.toFixed(5), `${overhead.toFixed(2)} %`, `${encodeRate.toFixed(0)} M/s`],
      `${decodeRate.toFixed(0)} M/s`,
    ]);
  for (const { name, bytes, error } of rivals)
    row([
      ...[name, bytes.toLocaleString('en'), ((4 * vector.length) / bytes).toFixed(1)],
      ...[error.toFixed(5), '', '', ''],
    ]);
}

/** Deltas of 125 M values: the real one again and again, from another place on for each peer. */
function largeInputs(vector: Float32Array): WeightedDelta[] {
  const scratch = new Float32Array(chunkLength);
  return Array.from({ length: inputCount }, (_, peer) => {
    const shift = peer * 619_333;
    const chunk = (start: number, end: number): Float32Array => {
      for (let i = start; i < end; i++) scratch[i - start] = vector[(i + shift) % vector.length] as number;
      return scratch.subarray(0, end - start);
    };
    const bytes = encodeDelta({ length: largeLength, chunk }, header, chosen);
    const { delta } = decodeDelta(bytes, { parameters: largeLength });
    return { delta, clip: 1 - peer / 100, weight: 5_120 };
  });
}

function measureLarge(vector: Float32Array): { readonly seconds: number; readonly hashMs: number } {
  const inputs = largeInputs(vector);
  const theta = new Float32Array(largeLength);
  for (let i = 0; i < largeLength; i++) theta[i] = vector[i % vector.length] as number;
  const times = Array.from({ length: repetitions }, () => {
    const { result, seconds } = timed(() => {
      const update = aggregate(inputs, { kappa: 0, length: largeLength });
      return applyUpdate(theta, update, 1);
    });
    revertUpdate(theta, result);
    return seconds;
  });
  const hashMs = (1_000 * medianSeconds(() => nameVector(theta))) / (largeLength / million);
  return { seconds: median(times), hashMs };
}

/**
 * Prints the tables; returns the figures of k = 64 and 1 bit. `--keep FOLDER` keeps the text, the engine's checkpoint
 * and the delta there, so that the next time nothing is trained.
 */
export async function bench(options: readonly string[] = []): Promise<CodecFigures> {
  const { values } = parseArgs({ args: [...options], options: { keep: { type: 'string' } } });
  const folder = values.keep ?? mkdtempSync(join(tmpdir(), 'murmuration-codec-'));
  try {
    const vector = await realDelta(folder);
    const size = (vector.length / million).toFixed(1);
    console.log(
      `delta of ${size} M parameters after ${rounds} rounds of ${stepsPerRound} steps (${language})\n`,
    );
    const ours = densities.flatMap((k) => valueBits.map((bits) => measure(vector, { k, bits })));
    printPoints(vector, ours);
    console.log('');
    heading(['what allocates', 'bytes per parameter']);
    for (const { name, bytesPerParameter } of measureMemory(vector))
      row([name, bytesPerParameter.toFixed(2)]);
    const large = measureLarge(vector);
    console.log(
      `\n16 deltas into 125 M parameters: ${large.seconds.toFixed(3)} s; hash of θ: ${large.hashMs.toFixed(2)} ms per M`,
    );
    const point = ours[densities.indexOf(chosen.k) * valueBits.length] as OurPoint;
    return {
      timesSmaller: Number(((4 * vector.length) / point.wireBytes).toFixed(1)),
      indexOverheadPercent: Number(point.overhead.toFixed(2)),
      encodeMParamsPerSecond: Number(point.encodeRate.toFixed(1)),
      decodeMParamsPerSecond: Number(point.decodeRate.toFixed(1)),
      aggregate16x125MSeconds: Number(large.seconds.toFixed(3)),
    };
  } finally {
    if (values.keep === undefined) rmSync(folder, { recursive: true, force: true });
  }
}
