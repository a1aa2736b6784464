import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { merkleProof, merkleRoot, provenRoot, sha256 } from '@murmuration/base';
import fc from 'fast-check';

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');
const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

/** The tree of the test vectors of certificate transparency (RFC 6962 implementations share them). */
const leaves = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(fromHex);

/** Their roots, of the first one, the first two and so on. */
const roots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

test('merkleRoot gives the roots of certificate transparency, with either hash', () => {
  const platform = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();
  for (const [index, root] of roots.entries()) {
    const first = leaves.slice(0, index + 1);
    assert.equal(hex(merkleRoot(first)), root, `${index + 1} leaves`);
    assert.equal(hex(merkleRoot(first, platform)), root);
  }
  assert.deepEqual(merkleRoot([]), sha256(new Uint8Array()));
});

test('merkleRoot changes with each leaf, with the order, and is never that of a leaf’s own preimage', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 4 }), { minLength: 2, maxLength: 12 }),
      fc.nat(),
      (list, pick) => {
        const root = hex(merkleRoot(list));
        const changed = list.map((leaf, index) =>
          index === pick % list.length ? Uint8Array.of(...leaf, 0) : leaf,
        );
        assert.notEqual(hex(merkleRoot(changed)), root);
        assert.notEqual(hex(merkleRoot(list.slice(1))), root);
        assert.notEqual(hex(merkleRoot([...list, Uint8Array.of()])), root);
      },
    ),
  );
  const [left, right] = [ascii('l'), ascii('r')].map((leaf) => sha256(Uint8Array.of(0, ...leaf))) as [
    Uint8Array,
    Uint8Array,
  ];
  assert.notDeepEqual(merkleRoot([Uint8Array.of(...left, ...right)]), merkleRoot([ascii('l'), ascii('r')]));
});

const withLeaf = fc
  .array(fc.uint8Array({ maxLength: 5 }), { minLength: 1, maxLength: 40 })
  .chain((list) => fc.record({ list: fc.constant(list), index: fc.nat(list.length - 1) }));

test('merkleProof gives the audit paths of certificate transparency', () => {
  assert.deepEqual(merkleProof(leaves, 0).path.map(hex), [
    '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
    '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
    '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  ]);
  assert.deepEqual(merkleProof(leaves.slice(0, 3), 2).path.map(hex), [
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  ]);
  assert.deepEqual(merkleProof(leaves.slice(0, 1), 0).path, []);
});

test('provenRoot of every leaf is the root of its tree', () => {
  fc.assert(
    fc.property(withLeaf, ({ list, index }) => {
      const proof = merkleProof(list, index);
      assert.ok(proof.path.length <= Math.ceil(Math.log2(list.length)));
      assert.equal(hex(provenRoot(list[index] as Uint8Array, proof)), hex(merkleRoot(list)));
    }),
  );
});

test('provenRoot of another leaf, place, count or path is never the root', () => {
  fc.assert(
    fc.property(withLeaf, fc.nat(), fc.nat(7), ({ list, index }, pick, bit) => {
      const leaf = list[index] as Uint8Array;
      const proof = merkleProof(list, index);
      const root = hex(merkleRoot(list));
      assert.notEqual(hex(provenRoot(Uint8Array.of(...leaf, 0), proof)), root);
      assert.equal(provenRoot(leaf, { ...proof, path: [...proof.path, new Uint8Array(32)] }), undefined);
      assert.equal(provenRoot(leaf, { ...proof, index: list.length }), undefined);
      if (list.length === 1) return;
      assert.equal(provenRoot(leaf, { ...proof, path: proof.path.slice(1) }), undefined);
      const at = pick % proof.path.length;
      const path = proof.path.map((beside, place) =>
        place === at ? beside.map((byte, i) => (i === pick % 32 ? byte ^ (1 << bit) : byte)) : beside,
      );
      assert.notEqual(hex(provenRoot(leaf, { ...proof, path })), root);
      const other = (index + 1 + (pick % (list.length - 1))) % list.length;
      if (hex(list[other]) !== hex(leaf))
        assert.notEqual(hex(provenRoot(list[other] as Uint8Array, proof)), root);
    }),
  );
});

test('provenRoot ends for any numbers and any path', () => {
  fc.assert(
    fc.property(
      fc.double(),
      fc.double(),
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 70 }),
      (index, count, path) => {
        const root = provenRoot(new Uint8Array(), { index, count, path });
        assert.ok(root === undefined || root.length === 32);
      },
    ),
  );
});
