import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type PeerId, peerIdOf, sha256 } from '@murmuration/base';
import { hashBytes, openStore, verifySignature } from '@murmuration/store';
import fc from 'fast-check';
import { storeError, temporaryFolder } from './temporary-folder.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

/** RFC 8032 §7.1, tests 2 and 3. */
const vectors = [
  {
    publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    message: '72',
    signature:
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  },
  {
    publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    message: 'af82',
    signature:
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  },
];

test('verifySignature accepts the vectors of RFC 8032 and nothing changed by one bit', () => {
  for (const vector of vectors) {
    const signer = peerIdOf(hex(vector.publicKey));
    const message = hex(vector.message);
    const signature = hex(vector.signature);
    assert.equal(verifySignature(signer, message, signature), true);
    for (let bit = 0; bit < signature.length * 8; bit++) {
      const changed = signature.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      assert.equal(verifySignature(signer, message, changed), false, `bit ${bit}`);
    }
    assert.equal(verifySignature(signer, Uint8Array.of(1), signature), false);
  }
});

test('verifySignature is false, never an exception, for any signer, message and signature', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.uint8Array({ minLength: 32, maxLength: 32 }).map((key) => peerIdOf(key) as string),
      ),
      fc.uint8Array(),
      fc.oneof(fc.uint8Array(), fc.uint8Array({ minLength: 64, maxLength: 64 })),
      (signer, bytes, signature) => verifySignature(signer as PeerId, bytes, signature) === false,
    ),
  );
});

test('verifySignature stays right beyond the bound of its key cache', () => {
  const signer = peerIdOf(hex((vectors[0] as (typeof vectors)[0]).publicKey));
  const { message, signature } = vectors[0] as (typeof vectors)[0];
  for (let index = 0; index < 1_100; index++) {
    const other = peerIdOf(hashBytes(Uint8Array.of(index & 255, index >> 8)));
    assert.equal(verifySignature(other, hex(message), hex(signature)), false);
  }
  assert.equal(verifySignature(signer, hex(message), hex(signature)), true);
});

test('hashBytes equals the portable SHA-256', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.deepEqual(hashBytes(bytes), sha256(bytes));
    }),
  );
});

test('Identity is made once, in a PEM file of mode 0600, and signs for its peer id', (context) => {
  const directory = temporaryFolder(context);
  const first = openStore({ directory });
  const { peer, publicKey, seed } = first.identity;
  const bytes = new TextEncoder().encode('a vote');
  const signature = first.identity.sign(bytes);
  first.close();

  assert.equal(peer, peerIdOf(publicKey));
  assert.equal(seed.length, 32);
  assert.equal(verifySignature(peer, bytes, signature), true);
  assert.equal(statSync(join(directory, 'key')).mode & 0o777, 0o600);
  const pem = readFileSync(join(directory, 'key'), 'utf8');
  assert.equal(createPrivateKey(pem).export({ format: 'jwk' }).d, Buffer.from(seed).toString('base64url'));

  const second = openStore({ directory });
  assert.equal(second.identity.peer, peer);
  assert.deepEqual(second.identity.sign(bytes), signature);
  second.close();
});

test('openStore refuses a key that others may read and says how to mend it', (context) => {
  const directory = temporaryFolder(context);
  openStore({ directory }).close();
  for (const mode of [0o644, 0o640, 0o604, 0o660]) {
    chmodSync(join(directory, 'key'), mode);
    assert.throws(
      () => openStore({ directory }),
      storeError('key-permissions', '0600', mode.toString(8), 'chmod 600'),
    );
  }
  chmodSync(join(directory, 'key'), 0o600);
  openStore({ directory }).close();
});

test('openStore refuses key files of the wrong size, kind or content', (context) => {
  const directory = temporaryFolder(context);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const pem = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
  const contents = [
    '',
    'no key',
    pem.slice(0, 60),
    pem.replace(/[A-Za-z0-9]{20}/, 'AAAAAAAAAAAAAAAAAAAA'),
    `${pem}${' '.repeat(2_000)}`,
    privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
  ];
  for (const content of contents) {
    writeFileSync(join(directory, 'key'), content, { mode: 0o600 });
    assert.throws(() => openStore({ directory }), storeError('bad-key', join(directory, 'key')));
  }
});

test('openStore refuses another key, or none, for a ledger that holds the first key’s votes', (context) => {
  const directory = temporaryFolder(context);
  const store = openStore({ directory });
  const { peer } = store.identity;
  store.close();
  rmSync(join(directory, 'key'));
  assert.throws(() => openStore({ directory }), storeError('missing', 'key'));

  const other = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' });
  writeFileSync(join(directory, 'key'), other, { mode: 0o600 });
  assert.throws(() => openStore({ directory }), storeError('other-peer', peer));
});
