import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blobChunkBytes, type Cid, createRandom, nameBlob } from '@murmuration/base';
import fc from 'fast-check';
import { NetworkError } from '../src/errors.ts';
import { type Piece, Pieces } from '../src/pieces.ts';
import { BlobMemory, randomBytes } from './blob-memory.ts';

const sources = ['a', 'b', 'c'];

test('Pieces becomes the blob, whoever delivers what in which order, with losses and lies between', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 * blobChunkBytes }), fc.string(), (length, seed) => {
      const memory = new BlobMemory();
      const bytes = randomBytes(length, seed);
      const pieces = new Pieces({
        cid: memory.put(bytes),
        bytesMax: length,
        hedgeMs: 1,
        isSilent: () => true,
      });
      const random = createRandom(seed);
      const asked: { readonly source: string; readonly piece: Piece }[] = [];
      for (let step = 0; step < 10_000 && !pieces.settled; step++) {
        const source = sources[random.below(sources.length)] as string;
        const piece = pieces.take(source);
        if (piece) asked.push({ source, piece });
        if (asked.length === 0) continue;
        const [request] = asked.splice(random.below(asked.length), 1);
        if (!request) continue;
        const chunk = memory.get(request.piece.cid) as Uint8Array;
        const fate = random.below(3);
        if (fate === 0) pieces.giveBack(request.piece, request.source, false);
        else if (fate === 1) pieces.put(request.piece, chunk);
        else {
          assert.throws(() => pieces.put({ ...request.piece }, chunk.subarray(1)), NetworkError);
          pieces.giveBack(request.piece, request.source, false);
        }
      }
      return pieces.complete && Buffer.compare(pieces.blob, bytes) === 0;
    }),
    { numRuns: 20 },
  );
});

test('Pieces.take gives a piece to one source, to a second one only if the first is silent, never to a third', () => {
  const silent = new Set<string>();
  const pieces = new Pieces({
    cid: nameBlob(Uint8Array.of(1)).cid,
    bytesMax: 10,
    hedgeMs: 1,
    isSilent: (source) => silent.has(source),
  });
  assert.ok(pieces.take('a'));
  assert.equal(pieces.take('b'), undefined);
  silent.add('a');
  assert.ok(pieces.take('b'));
  silent.add('b');
  assert.equal(pieces.take('c'), undefined);
});

test('Pieces.mayServe is false once a source has refused everything', () => {
  const cid: Cid = nameBlob(Uint8Array.of(1)).cid;
  const pieces = new Pieces({ cid, bytesMax: 10, hedgeMs: 1, isSilent: () => false });
  const piece = pieces.take('a') as Piece;
  assert.ok(pieces.mayServe('a'));
  pieces.giveBack(piece, 'a', true);
  assert.ok(!pieces.mayServe('a') && pieces.mayServe('b'));
});
