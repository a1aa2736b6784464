import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sha256 } from '@murmuration/base';
import { decodeDelta, deltaNorm, encodeDelta, type ValueBits } from '../src/index.ts';
import { fixtureVector, header } from './vectors.ts';

interface Expected {
  readonly file: string;
  readonly k: number;
  readonly bits: ValueBits;
  readonly count: number;
  readonly norm: number;
  /** SHA-256 of the indices and values as little-endian words. */
  readonly digest: string;
}

const folder = new URL('./fixtures/', import.meta.url);
const fixtures = JSON.parse(readFileSync(new URL('v1.json', folder), 'utf8')) as Expected[];

for (const expected of fixtures)
  test(`format version 1 is for ever: ${expected.file}`, () => {
    const bytes = new Uint8Array(readFileSync(new URL(expected.file, folder)));
    const vector = fixtureVector();
    const { delta, settings } = decodeDelta(bytes, { parameters: vector.length, expected: header });
    assert.deepEqual(settings, { k: expected.k, bits: expected.bits });
    assert.equal(delta.indices.length, expected.count);
    assert.equal(deltaNorm(delta), expected.norm);
    const words = new Uint8Array(delta.indices.byteLength * 2);
    words.set(new Uint8Array(delta.indices.buffer));
    words.set(new Uint8Array(delta.values.buffer), delta.indices.byteLength);
    assert.equal(Buffer.from(sha256(words)).toString('hex'), expected.digest);
    assert.deepEqual(encodeDelta(vector, header, settings), bytes);
  });
