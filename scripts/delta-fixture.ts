/**
 * Writes packages/delta/test/fixtures: the bytes of the delta format as this code writes them. Run it only for what is
 * new: the files of released formats stay as they are.
 *
 *     node --conditions=murmuration-source scripts/delta-fixture.ts
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { sha256 } from '@murmuration/base';
import { decodeDelta, deltaNorm, encodeDelta } from '@murmuration/delta';
import { fixtureVector, header } from '../packages/delta/test/vectors.ts';

const folder = new URL('../packages/delta/test/fixtures/', import.meta.url);
mkdirSync(folder, { recursive: true });
const vector = fixtureVector();
const fixtures = [
  { k: 64, bits: 1 as const },
  { k: 64, bits: 2 as const },
  { k: 1_024, bits: 2 as const },
  { k: 1, bits: 1 as const },
  { k: 64, bits: 4 as const },
  { k: 64, bits: 8 as const },
].map((settings) => {
  const bytes = encodeDelta(vector, header, settings);
  const { delta } = decodeDelta(bytes, { parameters: vector.length });
  const words = new Uint8Array(delta.indices.byteLength * 2);
  words.set(new Uint8Array(delta.indices.buffer));
  words.set(new Uint8Array(delta.values.buffer), delta.indices.byteLength);
  const file = `v1-k${settings.k}-${settings.bits}bit.bin`;
  writeFileSync(new URL(file, folder), bytes);
  const digest = Buffer.from(sha256(words)).toString('hex');
  return { file, ...settings, count: delta.indices.length, norm: deltaNorm(delta), digest };
});
writeFileSync(new URL('v1.json', folder), `${JSON.stringify(fixtures, undefined, 2)}\n`);
