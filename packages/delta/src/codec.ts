/**
 * A delta's bytes: the header, then one bit string with the chunks in order. A chunk is
 *
 *     full:1  [count]  low:16 [high:16]  indices  (sign:1 level:(bits − 1)) × count
 *
 * `count` is there when `full` is 0, in as many bits as the chunk's largest count less one needs; a count of 0 ends
 * the chunk. Every delta has exactly one encoding: `decodeDelta` refuses what `encodeDelta` would write otherwise. So
 * the first and the last level are used in each chunk, or all magnitudes are equal and have the first.
 */
import { createRoomy, firstOf } from './aggregate.ts';
import { BitReader, BitWriter } from './bits.ts';
import { chunkCountMax, chunkLength } from './defaults.ts';
import { DeltaError } from './errors.ts';
import {
  checkSettings,
  chunkCount,
  countBits,
  deltaBytesMax,
  headerLength,
  readHeader,
  writeHeader,
} from './header.ts';
import type {
  DecodedDelta,
  DeltaHeader,
  DeltaLimits,
  DeltaSettings,
  ValueBits,
  VectorSource,
} from './index.ts';
import { readIndices, writeIndices } from './indices.ts';
import { createQuantizer, levelWeights, type Scales, scaleBitsMax, scaleOf } from './levels.ts';
import { createSelector } from './select.ts';

function writeCount(writer: BitWriter, count: number, countMax: number): void {
  writer.write(count === countMax ? 1 : 0, 1);
  if (count < countMax) writer.write(count, countBits(countMax));
}

const sourceOf = (vector: Float32Array): VectorSource => ({
  length: vector.length,
  chunk: (start, end) => vector.subarray(start, end),
});

/** Writes chunks, in scratch space of its own. */
function createChunkWriter(
  writer: BitWriter,
  { k, bits }: DeltaSettings,
): (values: Float32Array, start: number) => number {
  const selector = createSelector();
  const quantizer = createQuantizer(bits, chunkCountMax);
  const magnitudes = new Float32Array(chunkCountMax);
  const codes = new Uint8Array(chunkCountMax);
  return (values, start) => {
    const words = new Int32Array(values.buffer, values.byteOffset, values.length);
    const { indices } = selector;
    const countMax = chunkCount(k, values.length);
    const count = selector.select(words, countMax, start);
    writeCount(writer, count, countMax);
    if (count === 0) return 0;
    for (let i = 0; i < count; i++) magnitudes[i] = Math.abs(values[indices[i] as number] as number);
    const { low, high } = quantizer.quantize(magnitudes, count, codes);
    writer.write(low, 16);
    if (bits > 1) writer.write(high, 16);
    writeIndices(writer, indices, count, values.length);
    for (let i = 0; i < count; i++) {
      const sign = (words[indices[i] as number] as number) >>> 31;
      writer.write((sign << (bits - 1)) | (codes[i] as number), bits);
    }
    return count;
  };
}

/**
 * The bytes of the largest values of a vector (float32, any length up to 2³² − 1), chunk by chunk. Throws `DeltaError`
 * `zero` when all are zero, `not-finite` when one is not a number or infinite, `bad-settings`, `wrong-header`.
 */
export function encodeDelta(
  vector: Float32Array | VectorSource,
  header: DeltaHeader,
  settings: DeltaSettings,
): Uint8Array {
  checkSettings(settings);
  const source = vector instanceof Float32Array ? sourceOf(vector) : vector;
  const { length } = source;
  const bytes = new Uint8Array(deltaBytesMax(length, settings));
  writeHeader(bytes, header, settings, length);
  const writer = new BitWriter(bytes, headerLength);
  const writeChunk = createChunkWriter(writer, settings);
  let sent = 0;
  for (let start = 0; start < length; start += chunkLength)
    sent += writeChunk(source.chunk(start, Math.min(start + chunkLength, length)), start);
  if (sent === 0)
    throw new DeltaError(`delta: all ${length} values are zero`, { code: 'zero', parameters: length });
  return bytes.slice(0, writer.finish());
}

function readCount(reader: BitReader, countMax: number): number {
  if (reader.read(1) === 1) return countMax;
  const count = reader.read(countBits(countMax));
  if (count >= countMax)
    throw new DeltaError(`delta: expected fewer than ${countMax} values in a chunk, got ${count}`, {
      code: 'not-canonical',
      count,
    });
  return count;
}

function readScales(reader: BitReader, bits: ValueBits): Scales {
  const low = reader.read(16);
  const high = bits > 1 ? reader.read(16) : low;
  if (low === 0 || low > scaleBitsMax || high > scaleBitsMax || high < low)
    throw new DeltaError(
      `delta: expected rising, positive, finite scales, got bits 0x${low.toString(16)}, 0x${high.toString(16)}`,
      { code: 'bad-scale', low, high },
    );
  return { low, high };
}

/** Reads `count` values into `values` from `at` on. */
function readValues(
  reader: BitReader,
  bits: ValueBits,
  scales: Scales,
  values: Float32Array,
  at: number,
  count: number,
): void {
  const weights = levelWeights[bits];
  const low = scaleOf(scales.low);
  const span = scaleOf(scales.high) - low;
  const levelMask = 2 ** (bits - 1) - 1;
  let lowest = levelMask;
  let highest = 0;
  for (let i = at; i < at + count; i++) {
    const word = reader.read(bits);
    const level = word & levelMask;
    if (level < lowest) lowest = level;
    if (level > highest) highest = level;
    const magnitude = low + span * (weights[level] as number);
    values[i] = word > levelMask ? -magnitude : magnitude;
  }
  if (lowest !== 0 || highest !== (span === 0 ? 0 : levelMask))
    throw new DeltaError(
      `delta: expected levels 0 to ${span === 0 ? 0 : levelMask} in a chunk, got ${lowest} to ${highest}`,
      { code: 'not-canonical', count, lowest, highest },
    );
}

/**
 * The sparse vector in bytes that may come from anyone. Never allocates more than 8 bytes per value that a delta of
 * `limits.parameters` values and of the header's k may send. Throws `DeltaError`, with any code but `bad-input`.
 */
export function decodeDelta(bytes: Uint8Array, limits: DeltaLimits): DecodedDelta {
  const { header, settings } = readHeader(bytes, limits);
  const { parameters } = limits;
  const reader = new BitReader(bytes, headerLength);
  const rest = parameters % chunkLength;
  const capacity =
    Math.floor(parameters / chunkLength) * settings.k + (rest > 0 ? chunkCount(settings.k, rest) : 0);
  const room = Math.min(capacity, (bytes.length - headerLength) * 8);
  const sparse = createRoomy(parameters, room);
  const { indices, values } = sparse;
  let sent = 0;
  for (let start = 0; start < parameters; start += chunkLength) {
    const length = Math.min(chunkLength, parameters - start);
    const count = readCount(reader, chunkCount(settings.k, length));
    if (count === 0) continue;
    const scales = readScales(reader, settings.bits);
    readIndices(reader, indices, sent, count, length, start);
    readValues(reader, settings.bits, scales, values, sent, count);
    sent += count;
  }
  reader.finish();
  if (sent === 0) throw new DeltaError('delta: expected at least one value, got none', { code: 'zero' });
  return { header, settings, delta: firstOf(sparse, sent) };
}
