import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { lstatSync, readFileSync } from 'node:fs';
import { DigestError, type PeerId, peerIdOf, publicKeyOf } from '@murmuration/base';
import { keyFileBytesMax, publicKeysMax } from './defaults.ts';
import { writeFileDurably } from './durable-file.ts';
import { StoreError, storeErrorOf } from './errors.ts';
import type { Identity } from './index.ts';

const signatureLength = 64;
const othersMayRead = 0o077;

/** SHA-256 by the platform: some 1 GB/s. */
export const hashBytes = (bytes: Uint8Array): Uint8Array => new Uint8Array(hash('sha256', bytes, 'buffer'));

/** Makes a new key file (PKCS #8 in PEM, mode 0600); there must be none. */
export function createKeyFile(path: string): void {
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileDurably(path, privateKey.export({ format: 'pem', type: 'pkcs8' }) as string);
}

/** Reads a key file. Throws `StoreError` `missing`, `key-permissions` or `bad-key`. */
export function readIdentity(path: string): Identity {
  const privateKey = readPrivateKey(path);
  const { d, x } = privateKey.export({ format: 'jwk' });
  const seed = new Uint8Array(Buffer.from(d as string, 'base64url'));
  const publicKey = new Uint8Array(Buffer.from(x as string, 'base64url'));
  return {
    peer: peerIdOf(publicKey),
    publicKey,
    seed,
    sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)),
  };
}

function readPrivateKey(path: string): KeyObject {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (!file)
    throw new StoreError(`${path}: expected the peer's key, found no file`, { code: 'missing', path });
  if (!file.isFile() || file.size === 0 || file.size > keyFileBytesMax)
    throw new StoreError(
      `${path}: expected a key file of at most ${keyFileBytesMax} bytes, found ${file.isFile() ? `${file.size} bytes` : 'no ordinary file'}`,
      { code: 'bad-key', path, size: file.size },
    );
  if (process.platform !== 'win32' && (file.mode & othersMayRead) !== 0) {
    const mode = (file.mode & 0o777).toString(8).padStart(4, '0');
    throw new StoreError(
      `${path}: expected mode 0600, found ${mode}: others could read this key. Run: chmod 600 ${path}`,
      { code: 'key-permissions', path, mode },
    );
  }
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw storeErrorOf(error, path);
  }
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(text);
  } catch {
    key = undefined;
  }
  if (key?.asymmetricKeyType !== 'ed25519')
    throw new StoreError(
      `${path}: expected an Ed25519 private key in PEM (PKCS #8), found ${key?.asymmetricKeyType ?? 'something else'}`,
      { code: 'bad-key', path },
    );
  return key;
}

const publicKeys = new Map<PeerId, KeyObject>();

/** Keeps the most lately used keys: parsing one costs about as much as a verification. */
function publicKeyObject(signer: PeerId): KeyObject {
  const known = publicKeys.get(signer);
  if (known) {
    publicKeys.delete(signer);
    publicKeys.set(signer, known);
    return known;
  }
  const x = Buffer.from(publicKeyOf(signer)).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  if (publicKeys.size >= publicKeysMax) publicKeys.delete(publicKeys.keys().next().value as PeerId);
  publicKeys.set(signer, key);
  return key;
}

/** Whether `signature` is the peer's Ed25519 signature of `bytes`; `false` for anything malformed, it never throws. */
export function verifySignature(signer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== signatureLength) return false;
  try {
    return verify(null, bytes, publicKeyObject(signer), signature);
  } catch (error) {
    if (error instanceof DigestError) return false;
    throw error;
  }
}
