import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import {
  BlobError,
  type BlobManifest,
  blobChunkBytes,
  blobChunksMax,
  chunkCids,
  chunkLength,
  cidOf,
  encodeCbor,
  GiB,
  hasManifest,
  matchesCid,
  nameBlob,
  nameChunks,
  parseManifest,
  sha256,
} from '@murmuration/base';
import fc from 'fast-check';

const platformHash = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(bytes).digest());
const blobError =
  (code: BlobError['code'], word: string | number) =>
  (error: unknown): boolean =>
    error instanceof BlobError && error.code === code && error.message.includes(String(word));

/** Lengths at and around the borders of chunks. */
const length = fc.oneof(
  fc.nat(1_000),
  fc.integer({ min: blobChunkBytes - 2, max: blobChunkBytes + 2 }),
  fc.integer({ min: 0, max: 5 * blobChunkBytes }),
);
const blob = fc.tuple(length, fc.nat(255), fc.nat(255)).map(([size, fill, first]) => {
  const bytes = new Uint8Array(size).fill(fill);
  bytes[0] = first;
  return bytes;
});
const few = { numRuns: 40 };

test('nameBlob gives a blob of one chunk its own CID and no manifest', () => {
  for (const size of [0, 1, blobChunkBytes]) {
    const bytes = new Uint8Array(size).fill(3);
    const { cid, manifest, manifestBytes } = nameBlob(bytes);
    assert.equal(cid, cidOf(bytes));
    assert.equal(hasManifest(cid), false);
    assert.deepEqual(manifest, { size, chunks: [sha256(bytes)] });
    assert.equal(manifestBytes, undefined);
  }
});

test('nameBlob gives the names of the first release', () => {
  const bytes = new Uint8Array(3 * blobChunkBytes - 5).map((_, index) => index % 251);
  const { cid } = nameBlob(bytes, platformHash);
  assert.equal(cid, 'bafyreielast3jofky6udxrnotazjb7eeaboq2fs5e7vfqlilo66r4bppba');
});

test('nameBlob: manifest and chunks check out against the names, for any blob and either hash', () => {
  fc.assert(
    fc.property(blob, (bytes) => {
      const named = nameBlob(bytes, platformHash);
      assert.equal(named.manifestBytes !== undefined, bytes.length > blobChunkBytes);
      assert.equal(hasManifest(named.cid), bytes.length > blobChunkBytes);
      if (named.manifestBytes) {
        assert.equal(matchesCid(named.manifestBytes, named.cid), true);
        assert.ok(named.manifestBytes.length <= blobChunkBytes);
        assert.deepEqual(parseManifest(named.manifestBytes, bytes.length), named.manifest);
      }
      const cids = chunkCids(named.manifest);
      let at = 0;
      for (const [index, cid] of cids.entries()) {
        const chunk = bytes.subarray(at, at + chunkLength(bytes.length, index));
        assert.equal(matchesCid(chunk, cid, platformHash), true);
        at += chunk.length;
      }
      assert.equal(at, bytes.length);
      assert.deepEqual(nameChunks(named.manifest), named);
    }),
    few,
  );
});

test('nameBlob gives different bytes different names', () => {
  fc.assert(
    fc.property(blob, fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, at, difference) => {
      fc.pre(bytes.length > 0);
      const changed = bytes.slice();
      changed[at % bytes.length] = (changed[at % bytes.length] as number) ^ difference;
      const { cid } = nameBlob(bytes, platformHash);
      assert.notEqual(nameBlob(changed, platformHash).cid, cid);
      assert.notEqual(nameBlob(Uint8Array.of(...bytes.subarray(0, 500), 0), platformHash).cid, cid);
    }),
    few,
  );
});

test('nameChunks refuses a count of chunks that the size does not have, and too many', () => {
  const digest = new Uint8Array(32);
  assert.throws(() => nameChunks({ size: 1, chunks: [] }), blobError('too-long', 'expected 1'));
  assert.throws(() => nameChunks({ size: 0, chunks: [digest, digest] }), blobError('too-long', 'got 2'));
  assert.throws(
    () => nameChunks({ size: blobChunkBytes + 1, chunks: [digest] }),
    blobError('too-long', 'expected 2'),
  );
  const many = { size: (blobChunksMax + 1) * blobChunkBytes, chunks: Array(blobChunksMax + 1).fill(digest) };
  assert.throws(() => nameChunks(many), blobError('too-long', blobChunksMax));
});

test('a manifest of the longest blob fits into one chunk and comes back', () => {
  const manifest: BlobManifest = {
    size: blobChunksMax * blobChunkBytes,
    chunks: Array.from({ length: blobChunksMax }, (_, index) =>
      sha256(Uint8Array.of(index & 255, index >> 8)),
    ),
  };
  const { manifestBytes } = nameChunks(manifest, platformHash);
  assert.ok(manifestBytes && manifestBytes.length <= blobChunkBytes, `${manifestBytes?.length} bytes`);
  assert.deepEqual(parseManifest(manifestBytes, 2 * GiB), manifest);
});

test('parseManifest refuses everything that is no manifest of a blob within the limit', () => {
  const digest = new Uint8Array(32);
  const size = blobChunkBytes + 1;
  const chunks = [digest, digest];
  const sizeMax = 10 * blobChunkBytes;
  assert.deepEqual(parseManifest(encodeCbor({ size, chunks }), sizeMax), { size, chunks });
  const refused: Record<string, unknown> = {
    'no object': 7,
    null: null,
    'an array': [size, chunks],
    'no size': { chunks },
    'no chunks': { size },
    'a size in text': { size: String(size), chunks },
    'a size with a fraction': { size: size + 0.5, chunks },
    'a negative size': { size: -size, chunks },
    'a size of one chunk': { size: blobChunkBytes, chunks: [digest] },
    'a size beyond the limit': { size: sizeMax + 1, chunks: Array(11).fill(digest) },
    'a chunk too few': { size, chunks: [digest] },
    'a chunk too many': { size, chunks: [digest, digest, digest] },
    'a short digest': { size, chunks: [digest, new Uint8Array(31)] },
    'a digest in text': { size, chunks: [digest, 'digest'] },
    'chunks that are no list': { size, chunks: { length: 2 } },
    'one more key': { size, chunks, name: 'x' },
  };
  for (const [name, value] of Object.entries(refused))
    assert.throws(
      () => parseManifest(encodeCbor(value), sizeMax),
      blobError('bad-manifest', 'expected'),
      name,
    );
  const tooMany = {
    size: (blobChunksMax + 1) * blobChunkBytes,
    chunks: Array(blobChunksMax + 1).fill(digest),
  };
  assert.throws(() => parseManifest(encodeCbor(tooMany), 4 * GiB), blobError('bad-manifest', 'digests'));
});

test('parseManifest ends in BlobError for any bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      assert.throws(() => parseManifest(bytes, GiB), BlobError);
    }),
  );
});

test('parseManifest never takes a truncated or bit-flipped manifest for the one it was', () => {
  const manifest = { size: 3 * blobChunkBytes, chunks: [1, 2, 3].map((byte) => sha256(Uint8Array.of(byte))) };
  const { cid, manifestBytes } = nameChunks(manifest);
  assert.ok(manifestBytes);
  for (let length = 0; length < manifestBytes.length; length++)
    assert.throws(() => parseManifest(manifestBytes.subarray(0, length), GiB), BlobError, `${length} bytes`);
  for (let bit = 0; bit < 8 * manifestBytes.length; bit++) {
    const flipped = manifestBytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    assert.equal(matchesCid(flipped, cid), false);
    try {
      assert.notDeepEqual(parseManifest(flipped, GiB), manifest, `bit ${bit}`);
    } catch (error) {
      assert.ok(error instanceof BlobError, String(error));
    }
  }
});

test('matchesCid is true for the bytes of a name only', () => {
  const bytes = Uint8Array.of(1, 2, 3);
  assert.equal(matchesCid(bytes, cidOf(bytes)), true);
  assert.equal(matchesCid(bytes, cidOf(bytes, 'dag-cbor')), true);
  assert.equal(matchesCid(Uint8Array.of(1, 2, 4), cidOf(bytes)), false);
  assert.equal(matchesCid(new Uint8Array(), cidOf(bytes)), false);
});
