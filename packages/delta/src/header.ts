/** The first 106 bytes of a delta. */
import { digestLength, type RunConfig } from '@murmuration/base';
import { chunkCountMax, chunkLength, valueBits } from './defaults.ts';
import { DeltaError } from './errors.ts';
import type { DeltaHeader, DeltaLimits, DeltaSettings, ValueBits } from './index.ts';
import { indexBitsMax } from './indices.ts';
import { scaleCount } from './levels.ts';

/** The version that this code writes and reads. */
export const formatVersion = 1;
const magic = [0x6d, 0x64];
const digestsAt = 10;
const digestFields = ['runDigest', 'base', 'author'] as const;
/** Bytes before the first chunk. */
export const headerLength: number = digestsAt + digestFields.length * digestLength;

/** Values that a chunk of `length` sends: ⌈k · length / 4096⌉, so that a short last chunk is as dense as the others. */
export const chunkCount = (k: number, length: number): number => Math.ceil((k * length) / chunkLength);

/** Bits of the count of a chunk that sends fewer than `countMax` values. */
export const countBits = (countMax: number): number => 32 - Math.clz32(countMax - 1);

const chunkBitsMax = (length: number, { k, bits }: DeltaSettings): number => {
  const count = chunkCount(k, length);
  return 1 + countBits(count) + 16 * scaleCount(bits) + bits * count + indexBitsMax(count, length);
};

/** Throws `DeltaError` `bad-settings` unless k and bits are what the format and the limits allow. */
export function checkSettings(
  settings: { readonly k: number; readonly bits: number },
  limits: Pick<DeltaLimits, 'kMin' | 'kMax' | 'bits'> = {},
): void {
  const { k, bits } = settings;
  const kMin = Math.max(limits.kMin ?? 1, 1);
  const kMax = Math.min(limits.kMax ?? chunkCountMax, chunkCountMax);
  const allowed: readonly number[] = limits.bits ? [limits.bits] : valueBits;
  if (!Number.isInteger(k) || k < kMin || k > kMax || !allowed.includes(bits))
    throw new DeltaError(
      `delta: expected k in [${kMin}, ${kMax}] and ${allowed.join(', ')} bits, got k ${k} and ${bits} bits`,
      { code: 'bad-settings', k, bits },
    );
}

/** What a delta of this run may be; `expected` is for the caller to add. */
export const deltaLimits = ({
  delta: { k, kMin, bits },
  initial,
}: Pick<RunConfig, 'delta' | 'initial'>): DeltaLimits => ({
  parameters: initial.parameters,
  kMin,
  kMax: k,
  bits,
});

/** Most bytes that `encodeDelta` makes of `parameters` values: what a reader may be asked to hold. */
export function deltaBytesMax(parameters: number, settings: DeltaSettings): number {
  checkSettings(settings);
  const rest = parameters % chunkLength;
  const bits =
    Math.floor(parameters / chunkLength) * chunkBitsMax(chunkLength, settings) +
    (rest > 0 ? chunkBitsMax(rest, settings) : 0);
  return headerLength + Math.ceil(bits / 8);
}

/** Writes the header to the start of `bytes`. Throws `DeltaError` `wrong-header` unless each field has 32 bytes. */
export function writeHeader(
  bytes: Uint8Array,
  header: DeltaHeader,
  settings: DeltaSettings,
  parameters: number,
): void {
  bytes.set([...magic, formatVersion, settings.bits]);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(4, parameters, true);
  view.setUint16(8, settings.k, true);
  digestFields.forEach((field, index) => {
    if (header[field].length !== digestLength)
      throw new DeltaError(`delta header: expected 32 bytes of ${field}, got ${header[field].length} bytes`, {
        code: 'wrong-header',
        field,
        length: header[field].length,
      });
    bytes.set(header[field], digestsAt + index * digestLength);
  });
}

/** Checks everything that can be known before the chunks are read. */
export function readHeader(
  bytes: Uint8Array,
  limits: DeltaLimits,
): { header: DeltaHeader; settings: DeltaSettings } {
  if (bytes.length < headerLength)
    throw new DeltaError(`delta: expected at least ${headerLength} bytes of header, got ${bytes.length}`, {
      code: 'truncated',
      length: bytes.length,
    });
  if (magic.some((byte, index) => bytes[index] !== byte))
    throw new DeltaError('delta: expected to begin with "md"', { code: 'bad-magic' });
  if (bytes[2] !== formatVersion)
    throw new DeltaError(`delta: expected format version ${formatVersion}, got ${bytes[2]}`, {
      code: 'unknown-version',
      version: bytes[2],
    });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const parameters = view.getUint32(4, true);
  if (parameters !== limits.parameters)
    throw new DeltaError(`delta: expected ${limits.parameters} parameters, got ${parameters}`, {
      code: 'wrong-parameters',
      expected: limits.parameters,
      parameters,
    });
  const settings = { k: view.getUint16(8, true), bits: bytes[3] as ValueBits };
  checkSettings(settings, limits);
  const bytesMax = deltaBytesMax(parameters, settings);
  if (bytes.length > bytesMax)
    throw new DeltaError(`delta: expected at most ${bytesMax} bytes, got ${bytes.length}`, {
      code: 'trailing',
      expected: bytesMax,
      length: bytes.length,
    });
  const [runDigest, base, author] = digestFields.map((field, index) => {
    const digest = bytes.slice(digestsAt + index * digestLength, digestsAt + (index + 1) * digestLength);
    const expected = limits.expected?.[field];
    if (expected && digest.some((byte, at) => byte !== expected[at]))
      throw new DeltaError(`delta header: names another ${field} than expected`, {
        code: 'wrong-header',
        field,
      });
    return digest;
  }) as [Uint8Array, Uint8Array, Uint8Array];
  return { header: { runDigest, base, author }, settings };
}
