import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id';
import {
  type Cid,
  cidOf,
  cidOfDigest,
  DigestError,
  decodeCbor,
  digestLength,
  digestOfCid,
  encodeCbor,
  parseCid,
  peerIdOf,
  publicKeyOf,
  sha256,
} from '@murmuration/base';
import fc from 'fast-check';
import { CID } from 'multiformats/cid';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const digestError =
  (code: DigestError['code'], word = '') =>
  (error: unknown): boolean =>
    error instanceof DigestError && error.code === code && error.message.includes(word);

test('sha256 gives the vectors of FIPS 180-4', () => {
  assert.equal(hex(sha256(ascii(''))), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  assert.equal(hex(sha256(ascii('abc'))), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('cidOf gives the CIDs that other IPFS software gives', () => {
  assert.equal(cidOf(ascii('hello world')), 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e');
  assert.equal(cidOf(new Uint8Array()), 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku');
  assert.equal(
    cidOf(encodeCbor({}), 'dag-cbor'),
    'bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua',
  );
});

test('cidOfDigest, digestOfCid and parseCid are each other’s inverse', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.constantFrom('raw' as const, 'dag-cbor' as const),
      (digest, codec) => {
        const cid = cidOfDigest(digest, codec);
        assert.deepEqual(new Uint8Array(digestOfCid(cid)), digest);
        assert.equal(digestOfCid(cid).length, digestLength);
        assert.equal(parseCid(cid), cid);
      },
    ),
  );
});

test('parseCid refuses every other kind of text and says what it was', () => {
  const cid = CID.parse(cidOf(ascii('x')));
  const v0 = 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N';
  const otherCodec = CID.createV1(0x70, cid.multihash).toString();
  const malformed = [
    '',
    'bafk',
    'hello',
    v0,
    cid.toString().toUpperCase(),
    `${cid} `,
    cid.toString().slice(0, -1),
  ];
  for (const text of [...malformed, otherCodec])
    assert.throws(() => parseCid(text), digestError('bad-cid', text.slice(0, 40)), text);
  assert.throws(() => parseCid('b'.repeat(10_000)), digestError('bad-cid'));
  assert.throws(() => digestOfCid('z' as Cid), digestError('bad-cid'));
});

test('parseCid ends in DigestError for any text', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^b[a-z2-7]{0,60}$/)), (text) => {
      try {
        assert.equal(parseCid(text), text);
      } catch (error) {
        assert.ok(error instanceof DigestError, String(error));
      }
    }),
  );
});

test('peerIdOf gives the peer id that libp2p gives, and publicKeyOf its key', async () => {
  for (let index = 0; index < 20; index++) {
    const key = await generateKeyPairFromSeed('Ed25519', sha256(Uint8Array.of(index)));
    const peer = peerIdFromPublicKey(key.publicKey).toString();
    assert.equal(peerIdOf(key.publicKey.raw), peer);
    assert.deepEqual(new Uint8Array(publicKeyOf(peer)), new Uint8Array(key.publicKey.raw));
  }
  const known = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA';
  const id = peerIdFromString(known);
  assert.ok(id.type === 'Ed25519');
  assert.deepEqual(new Uint8Array(publicKeyOf(known)), new Uint8Array(id.publicKey.raw));
  assert.equal(peerIdOf(publicKeyOf(known)), known);
});

test('publicKeyOf refuses other kinds of ids and rubbish', () => {
  const peer = peerIdOf(sha256(ascii('key')));
  const malformed = [
    '',
    'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N',
    '16Uiu2HAm1qvXgrBWqo6HQ2Fhj9ZkTNcGwyfWsh8JZAfhQFHbq4fC',
    peer.slice(1),
    peer.slice(0, -1),
    `${peer}1`,
    `1${peer}`,
    peer.toLowerCase(),
    '0OIl',
    'x'.repeat(1_000_000),
  ];
  for (const text of malformed)
    assert.throws(() => publicKeyOf(text), digestError('bad-peer-id'), text.slice(0, 60));
});

test('encodeCbor is canonical and decodeCbor its inverse', () => {
  assert.equal(
    hex(encodeCbor({ b: 1, a: [null, true, 'x', Uint8Array.of(5)] })),
    'a2616184f6f5617841056162' + '01',
  );
  assert.deepEqual(encodeCbor({ bb: 1, a: 2 }), encodeCbor({ a: 2, bb: 1 }));
  const value = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, false),
      fc.maxSafeInteger(),
      fc.string(),
      fc.uint8Array({ maxLength: 8 }),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(fc.stringMatching(/^[a-z]{1,6}$/), tie('tree'), { maxKeys: 4, noNullPrototype: true }),
    ),
  })).tree;
  fc.assert(
    fc.property(value, (tree) => {
      assert.deepEqual(decodeCbor(encodeCbor(tree)), tree);
    }),
  );
});

test('decodeCbor refuses bytes that are valid CBOR but not the canonical encoding', () => {
  const notCanonical = {
    'a number in more bytes than it needs': '1801',
    'keys out of order': 'a2616201616101',
    'a key twice': 'a2616101616102',
    'an indefinite array': '9f01ff',
    'a short float': 'f93c00',
    undefined: 'f7',
    'a tag that is no CID': 'c101',
    'bytes left over': '0101',
    nothing: '',
    'an array that promises 2³² items': '9affffffff',
    'a string cut short': '6461',
  };
  for (const [name, bytes] of Object.entries(notCanonical))
    assert.throws(() => decodeCbor(fromHex(bytes)), digestError('bad-cbor'), name);
});

test('decodeCbor ends quickly in DigestError for any bytes and any nesting', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        assert.deepEqual(new Uint8Array(encodeCbor(decodeCbor(bytes))), bytes);
      } catch (error) {
        assert.ok(error instanceof DigestError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
  assert.throws(() => decodeCbor(new Uint8Array(1_000_000).fill(0x81)), digestError('bad-cbor'));
});

/** Data items of a value as CBOR writes it. */
function itemsIn(value: unknown): number {
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + itemsIn(item), 1);
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return 1;
  return Object.values(value).reduce((sum: number, item) => sum + 1 + itemsIn(item), 1);
}

test('decodeCbor refuses more values than it was told to expect, before it unfolds them', () => {
  const values = fc.anything({
    values: [
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.string(),
      fc.boolean(),
      fc.uint8Array(),
    ],
    withNullPrototype: false,
  });
  fc.assert(
    fc.property(values, (value) => {
      const bytes = encodeCbor(value);
      const items = itemsIn(value);
      assert.deepEqual(decodeCbor(bytes, items), decodeCbor(bytes));
      assert.throws(
        () => decodeCbor(bytes, items - 1),
        digestError('bad-cbor', `more than ${items - 1} values`),
      );
    }),
  );
});
