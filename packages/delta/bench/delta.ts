/** Question `delta`: how long do encoding and decoding take on one core, and how small is a delta? */
import { createRandom } from '@murmuration/base';
import { decodeDelta, encodeDelta } from '../src/index.ts';

const parameters = 10_000_000;
const repetitions = 5;
const header = {
  runDigest: new Uint8Array(32),
  base: new Uint8Array(32),
  author: new Uint8Array(32),
};

export interface DeltaResult {
  /** Median times for 10 M parameters at k = 64, 1 bit. */
  readonly encodeMs: number;
  readonly decodeMs: number;
  readonly bitsPerParameter: number;
  /** Than the same values in float32, header included. */
  readonly timesSmaller: number;
}

/** Heavy-tailed values whose spread changes from tensor to tensor (65,536 values each), as a training step leaves them. */
function trainingLikeValues(): Float32Array {
  const random = createRandom('delta benchmark');
  const values = new Float32Array(parameters);
  let spread = 1;
  for (let i = 0; i < parameters; i++) {
    if (i % 65_536 === 0) spread = 1e-3 * (0.1 + random.unit());
    values[i] = (spread * (random.unit() + random.unit() + random.unit() - 1.5)) / (0.0625 + random.unit());
  }
  return values;
}

const median = (times: number[]): number =>
  times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] as number;

function measure(values: Float32Array, k: number, bits: 1 | 2): DeltaResult {
  const encodeTimes: number[] = [];
  const decodeTimes: number[] = [];
  let bytes: Uint8Array = new Uint8Array();
  for (let repetition = 0; repetition < repetitions; repetition++) {
    const started = performance.now();
    bytes = encodeDelta(values, header, { k, bits });
    const encoded = performance.now();
    decodeDelta(bytes, { parameters });
    encodeTimes.push(encoded - started);
    decodeTimes.push(performance.now() - encoded);
  }
  return {
    encodeMs: median(encodeTimes),
    decodeMs: median(decodeTimes),
    bitsPerParameter: (bytes.length * 8) / parameters,
    timesSmaller: (4 * parameters) / bytes.length,
  };
}

/** Measures; prints a table, and returns the figures of the default codec (k = 64, 1 bit). */
export async function bench(): Promise<DeltaResult> {
  const values = trainingLikeValues();
  const settings = [
    [64, 1],
    [64, 2],
    [256, 1],
    [1_024, 2],
  ] as const;
  const results = settings.map(([k, bits]) => ({ k, bits, ...measure(values, k, bits) }));
  console.log(`${parameters / 1e6} M parameters, one core, median of ${repetitions}\n`);
  console.log('    k  bits  encode ms  decode ms  bit/parameter  times smaller than float32');
  for (const { k, bits, encodeMs, decodeMs, bitsPerParameter, timesSmaller } of results)
    console.log(
      [
        String(k).padStart(5),
        String(bits).padStart(6),
        encodeMs.toFixed(1).padStart(11),
        decodeMs.toFixed(1).padStart(11),
        bitsPerParameter.toFixed(4).padStart(15),
        timesSmaller.toFixed(1).padStart(15),
      ].join(''),
    );
  const { encodeMs, decodeMs, bitsPerParameter, timesSmaller } = results[0] as DeltaResult;
  return { encodeMs, decodeMs, bitsPerParameter, timesSmaller };
}
