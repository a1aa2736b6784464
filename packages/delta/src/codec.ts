/**
 * A delta's bytes: the header, then one bit string with the chunks in order. A chunk is
 *
 *     full:1  [count]  scale:16 × bits  indices  (sign:1 [high:1]) × count
 *
 * `count` is there when `full` is 0, in as many bits as the chunk's largest count less one needs; a count of 0 ends
 * the chunk. Every delta has exactly one encoding: `decodeDelta` refuses what `encodeDelta` would write otherwise.
 */
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
import type { DecodedDelta, DeltaHeader, DeltaLimits, DeltaSettings } from './index.ts';
import { readIndices, writeIndices } from './indices.ts';
import { type Levels, oneLevel, scaleBitsMax, scaleOf, twoLevels } from './levels.ts';
import { createSelector } from './select.ts';

function writeCount(writer: BitWriter, count: number, countMax: number): void {
  writer.write(count === countMax ? 1 : 0, 1);
  if (count < countMax) writer.write(count, countBits(countMax));
}

/**
 * The bytes of the largest values of `vector` (float32, any length up to 2³² − 1), chunk by chunk. Throws `DeltaError`
 * `zero` when all are zero, `not-finite` when one is not a number or infinite, `bad-settings`, `wrong-header`.
 */
export function encodeDelta(vector: Float32Array, header: DeltaHeader, settings: DeltaSettings): Uint8Array {
  checkSettings(settings, chunkCountMax);
  const { k, bits } = settings;
  const bytes = new Uint8Array(deltaBytesMax(vector.length, settings));
  writeHeader(bytes, header, settings, vector.length);
  const writer = new BitWriter(bytes, headerLength);
  const selector = createSelector();
  const words = new Int32Array(vector.buffer, vector.byteOffset, vector.length);
  const magnitudes = new Float32Array(chunkCountMax);
  let sent = 0;
  for (let start = 0; start < vector.length; start += chunkLength) {
    const length = Math.min(chunkLength, vector.length - start);
    const countMax = chunkCount(k, length);
    const count = selector.select(words, start, length, countMax);
    sent += count;
    writeCount(writer, count, countMax);
    if (count === 0) continue;
    for (let i = 0; i < count; i++)
      magnitudes[i] = Math.abs(vector[start + (selector.indices[i] as number)] as number);
    const levels = bits === 1 ? oneLevel(magnitudes, count) : twoLevels(magnitudes, count);
    writer.write(levels.low, 16);
    if (bits === 2) writer.write(levels.high, 16);
    writeIndices(writer, selector.indices, count, length);
    for (let i = 0; i < count; i++) {
      const value = vector[start + (selector.indices[i] as number)] as number;
      writer.write(value < 0 ? 1 : 0, 1);
      if (bits === 2) writer.write(Math.abs(value) > levels.split ? 1 : 0, 1);
    }
  }
  if (sent === 0)
    throw new DeltaError(`delta: all ${vector.length} values are zero`, {
      code: 'zero',
      parameters: vector.length,
    });
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

function readLevels(reader: BitReader, bits: 1 | 2): Omit<Levels, 'split'> {
  const low = reader.read(16);
  const high = bits === 2 ? reader.read(16) : low;
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
  bits: 1 | 2,
  levels: Omit<Levels, 'split'>,
  values: Float32Array,
  at: number,
  count: number,
): void {
  const low = scaleOf(levels.low);
  const high = scaleOf(levels.high);
  let highCount = 0;
  for (let i = at; i < at + count; i++) {
    const negative = reader.read(1) === 1;
    const isHigh = bits === 2 && reader.read(1) === 1;
    if (isHigh) highCount++;
    const magnitude = isHigh ? high : low;
    values[i] = negative ? -magnitude : magnitude;
  }
  const bothUsed = highCount > 0 && highCount < count;
  if (bits === 2 && (low === high ? highCount > 0 : !bothUsed))
    throw new DeltaError(
      `delta: ${highCount} of ${count} values are high where the levels need another split`,
      {
        code: 'not-canonical',
        count,
        highCount,
      },
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
  const indices = new Uint32Array(room);
  const values = new Float32Array(room);
  let sent = 0;
  for (let start = 0; start < parameters; start += chunkLength) {
    const length = Math.min(chunkLength, parameters - start);
    const count = readCount(reader, chunkCount(settings.k, length));
    if (count === 0) continue;
    const levels = readLevels(reader, settings.bits);
    readIndices(reader, indices, sent, count, length, start);
    readValues(reader, settings.bits, levels, values, sent, count);
    sent += count;
  }
  reader.finish();
  if (sent === 0) throw new DeltaError('delta: expected at least one value, got none', { code: 'zero' });
  return {
    header,
    settings,
    delta: { length: parameters, indices: indices.slice(0, sent), values: values.slice(0, sent) },
  };
}
