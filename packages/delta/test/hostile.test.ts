import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import fc from 'fast-check';
import { DeltaError, decodeDelta, deltaBytesMax, encodeDelta, valueBits } from '../src/index.ts';
import { fixtureVector, header } from './vectors.ts';

const vector = fixtureVector();
const parameters = vector.length;
const encodings = valueBits.map((bits) => encodeDelta(vector, header, { k: 64, bits }));
const [oneBit, twoBits] = encodings as [Uint8Array, Uint8Array];
const headerLength = 106;

const codeOf = (bytes: Uint8Array, limits: Parameters<typeof decodeDelta>[1] = { parameters }): string => {
  try {
    decodeDelta(bytes, limits);
    return 'none';
  } catch (error) {
    if (error instanceof DeltaError) return error.code;
    throw error;
  }
};

const changed = (bytes: Uint8Array, at: number, ...values: number[]): Uint8Array => {
  const copy = bytes.slice();
  copy.set(values, at);
  return copy;
};

test('decodeDelta ends arbitrary bytes in a DeltaError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3_000 }), (bytes) => {
      assert.notEqual(codeOf(bytes), 'none');
    }),
  );
});

test('decodeDelta ends arbitrary chunks behind a good header in a DeltaError or a delta within bounds', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 600 }),
      fc.integer({ min: 1, max: 1_024 }),
      fc.constantFrom(...valueBits),
      (body, k, bits) => {
        const bytes = new Uint8Array(headerLength + body.length);
        bytes.set(oneBit.subarray(0, headerLength));
        bytes.set([bits], 3);
        new DataView(bytes.buffer).setUint16(8, k, true);
        bytes.set(body, headerLength);
        const code = codeOf(bytes);
        if (code !== 'none') return;
        const { delta } = decodeDelta(bytes, { parameters });
        assert.ok(delta.indices.every((index) => index < parameters));
      },
    ),
    { numRuns: 2_000 },
  );
});

test('decodeDelta refuses every truncation, and every longer blob', () => {
  for (const bytes of encodings)
    for (let length = 0; length < bytes.length; length++)
      assert.notEqual(codeOf(bytes.subarray(0, length)), 'none', `${length} bytes`);
  for (const bytes of encodings) {
    assert.equal(codeOf(Uint8Array.from([...bytes, 0])), 'trailing');
    assert.equal(codeOf(Uint8Array.from([...bytes, 255])), 'trailing');
  }
});

test('decodeDelta refuses a flipped bit, or returns the delta of which the flipped bytes are the encoding', () => {
  for (const bytes of encodings) {
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = changed(bytes, bit >>> 3, (bytes[bit >>> 3] as number) ^ (1 << (bit & 7)));
      if (codeOf(flipped) !== 'none') continue;
      const decoded = decodeDelta(flipped, { parameters });
      const dense = new Float32Array(parameters);
      decoded.delta.indices.forEach((index, i) => {
        dense[index] = decoded.delta.values[i] as number;
      });
      assert.deepEqual(encodeDelta(dense, decoded.header, decoded.settings), flipped, `bit ${bit}`);
    }
  }
});

test('decodeDelta names what is wrong with a header', () => {
  assert.equal(codeOf(new Uint8Array()), 'truncated');
  assert.equal(codeOf(oneBit.subarray(0, headerLength)), 'truncated');
  assert.equal(codeOf(changed(oneBit, 0, 0)), 'bad-magic');
  assert.equal(codeOf(changed(oneBit, 2, 2)), 'unknown-version');
  assert.equal(codeOf(changed(oneBit, 3, 0)), 'bad-settings');
  assert.equal(codeOf(changed(oneBit, 3, 3)), 'bad-settings');
  assert.equal(codeOf(changed(oneBit, 8, 0, 0)), 'bad-settings');
  assert.equal(codeOf(changed(oneBit, 8, 1, 4)), 'bad-settings');
  assert.equal(codeOf(oneBit, { parameters, kMax: 63 }), 'bad-settings');
  assert.equal(codeOf(oneBit, { parameters, kMax: 64 }), 'none');
  assert.equal(codeOf(oneBit, { parameters, kMin: 65 }), 'bad-settings');
  assert.equal(codeOf(oneBit, { parameters, kMin: 64 }), 'none');
  assert.equal(codeOf(oneBit, { parameters, bits: 2 }), 'bad-settings');
  assert.equal(codeOf(oneBit, { parameters, bits: 1 }), 'none');
  for (const bits of [5, 6, 7, 9, 16, 255]) assert.equal(codeOf(changed(oneBit, 3, bits)), 'bad-settings');
  assert.equal(codeOf(oneBit, { parameters: parameters + 1 }), 'wrong-parameters');
  assert.equal(codeOf(changed(oneBit, 4, 255, 255, 255, 255)), 'wrong-parameters');
  for (const field of ['runDigest', 'base', 'author'] as const) {
    assert.equal(codeOf(oneBit, { parameters, expected: { [field]: header[field] } }), 'none');
    assert.equal(codeOf(oneBit, { parameters, expected: { [field]: new Uint8Array(32) } }), 'wrong-header');
  }
});

test('decodeDelta refuses zero, infinite, NaN and negative scales, and falling levels', () => {
  const withScales = (bytes: Uint8Array, low: number, high: number): Uint8Array => {
    const scales = (2 ** 32 + low * 2 ** 16 + high) * 2 ** 7;
    const copy = bytes.slice();
    const old = new DataView(copy.buffer).getUint8(headerLength + 4);
    for (let i = 0; i < 4; i++) copy[headerLength + i] = Math.floor(scales / 256 ** (4 - i)) % 256;
    copy[headerLength + 4] = (scales % 256) | (old & 0x7f);
    return copy;
  };
  const two = withScales.bind(undefined, twoBits);
  assert.equal(codeOf(two(0x3f80, 0x4000)), 'none');
  for (const [low, high] of [
    [0, 0x4000],
    [0x3f80, 0],
    [0x3f80, 0x7f80],
    [0x3f80, 0x7fc0],
    [0x7f80, 0x7f80],
    [0xbf80, 0xc000],
    [0x3f80, 0xc000],
    [0x4000, 0x3f80],
  ] as const)
    assert.equal(codeOf(two(low, high)), 'bad-scale', `${low} ${high}`);
  assert.equal(codeOf(two(0x3f80, 0x3f80)), 'not-canonical');
  for (const scale of [0, 0x7f80, 0x7fff, 0x8000, 0xbf80, 0xffff]) {
    const high = (twoBits[headerLength] as number) & 0x80;
    const one = oneBit.slice();
    one[headerLength] = high | (scale >>> 9);
    one[headerLength + 1] = (scale >>> 1) & 0xff;
    one[headerLength + 2] = ((scale & 1) << 7) | ((one[headerLength + 2] as number) & 0x7f);
    assert.equal(codeOf(one), 'bad-scale', `${scale}`);
  }
});

test('decodeDelta refuses a delta that says nothing', () => {
  const empty = new Uint8Array(headerLength + 3);
  empty.set(oneBit.subarray(0, headerLength));
  assert.equal(codeOf(empty), 'zero');
});

test('decodeDelta refuses an index beyond its chunk', () => {
  const small = encodeDelta(Float32Array.of(0, 0, 0, 0, 1), header, { k: 1, bits: 1 });
  const codes = new Set<string>();
  for (let value = 0; value < 256; value++)
    codes.add(codeOf(changed(small, small.length - 1, value), { parameters: 5 }));
  assert.ok(codes.has('index-range'), [...codes].join());
});

test('decodeDelta refuses megabytes of rubbish quickly', () => {
  const random = createRandom('rubbish');
  const rubbish = Uint8Array.from({ length: deltaBytesMax(10_000_000, { k: 1_024, bits: 2 }) }, () =>
    random.below(256),
  );
  rubbish.set(oneBit.subarray(0, headerLength));
  new DataView(rubbish.buffer).setUint32(4, 10_000_000, true);
  new DataView(rubbish.buffer).setUint16(8, 1_024, true);
  const started = performance.now();
  assert.notEqual(codeOf(rubbish, { parameters: 10_000_000 }), 'none');
  assert.equal(codeOf(rubbish, { parameters: 10_000_000, kMax: 64 }), 'bad-settings');
  assert.ok(performance.now() - started < 10_000);
});

test('decodeDelta holds at most eight bytes per value that the header allows, whatever the chunks say', () => {
  const large = 4_000_000;
  for (const bits of valueBits) {
    const settings = { k: 64, bits };
    const bytes = new Uint8Array(deltaBytesMax(large, settings)).fill(0xff);
    bytes.set(oneBit.subarray(0, headerLength));
    bytes.set([bits], 3);
    new DataView(bytes.buffer).setUint32(4, large, true);
    const before = process.memoryUsage().arrayBuffers;
    assert.notEqual(codeOf(bytes, { parameters: large }), 'none');
    const allowed = 8 * 64 * Math.ceil(large / 4_096) + 65_536;
    assert.ok(process.memoryUsage().arrayBuffers - before <= allowed);
  }
});
