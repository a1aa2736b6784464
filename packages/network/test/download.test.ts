import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blobChunkBytes, KiB, nameBlob, type PeerId } from '@murmuration/base';
import type { ChunkSink } from '@murmuration/network';
import { decodeRequest, encodeAnswer } from '../src/blob-wire.ts';
import { blobProtocol } from '../src/defaults.ts';
import { createHandler } from '../src/serve.ts';
import { BlobMemory, randomBytes } from './blob-memory.ts';
import { startPeers, startRogue, until } from './peers.ts';
import { serving } from './serving.ts';

/** Keeps chunks in memory, over several downloads. */
class MemorySink implements ChunkSink {
  readonly chunks = new Map<number, Uint8Array>();
  readonly written: number[] = [];
  manifest: Uint8Array | undefined;

  begin(manifest: Uint8Array): ReadonlySet<number> {
    this.manifest = manifest;
    return new Set(this.chunks.keys());
  }

  write(position: number, bytes: Uint8Array): void {
    this.written.push(position);
    this.chunks.set(position, bytes.slice());
  }

  get bytes(): Uint8Array {
    return Buffer.concat([...this.chunks].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
  }
}

const chunkCount = 24;

test('Network.downloadBlob takes a state from three sources, of which one lies and one dies midway', async (t) => {
  const [reader, honest, mortal] = await startPeers(t, 3);
  assert.ok(honest && mortal);
  const bytes = randomBytes(chunkCount * blobChunkBytes - 5, 'download');
  const { cid } = nameBlob(bytes);
  for (const { blobs } of [honest, mortal]) {
    blobs.put(bytes);
    blobs.delayMs = 40;
  }
  const lies = new BlobMemory();
  lies.put(bytes);
  let rubbish = 0;
  const handler = createHandler(
    {
      requestBytesMax: 33,
      backlogBytesMax: 10 * KiB,
      respond: async (_peer, request) => {
        const asked = decodeRequest(request);
        const chunk = lies.get(asked)?.slice();
        if (asked === cid || !chunk) return encodeAnswer(chunk);
        rubbish++;
        return encodeAnswer(chunk.fill(0));
      },
    },
    serving(t),
  );
  const liar = await startRogue(t, 7, reader.network.addresses(), { [blobProtocol]: handler });
  await until('the liar is in', () => reader.network.connected().includes(liar.peer));
  const sink = new MemorySink();
  let from: ReadonlyMap<PeerId, number> = new Map();
  let stopped: Promise<void> | undefined;
  await reader.network.downloadBlob(cid, sink, {
    bytesMax: bytes.length,
    from: [liar.peer, mortal.network.peer],
    onProgress(progress) {
      from = progress.bytesFrom;
      assert.equal(progress.size, bytes.length);
      if ((from.get(mortal.network.peer) ?? 0) >= 3 * blobChunkBytes) stopped ??= mortal.network.stop();
    },
  });
  await stopped;
  assert.equal(Buffer.compare(sink.bytes, bytes), 0);
  assert.equal(new Set(sink.written).size, sink.written.length, 'no chunk was taken twice');
  assert.ok(rubbish > 0, 'the liar was asked');
  const chunksFrom = (peer: PeerId): number => Math.floor((from.get(peer) ?? 0) / (blobChunkBytes - 5));
  assert.equal(chunksFrom(liar.peer), 0);
  assert.ok(chunksFrom(mortal.network.peer) >= 3 && chunksFrom(mortal.network.peer) < chunkCount - 3);
  assert.ok(chunksFrom(honest.network.peer) >= 3, `${chunksFrom(honest.network.peer)}`);
});

test('Network.downloadBlob measures that the bytes came from several sources', async (t) => {
  const [reader, ...sources] = await startPeers(t, 4);
  const bytes = randomBytes(chunkCount * blobChunkBytes, 'spread');
  const { cid, manifestBytes } = nameBlob(bytes);
  for (const { blobs } of sources) {
    blobs.put(bytes);
    blobs.delayMs = 30;
  }
  let from: ReadonlyMap<PeerId, number> = new Map();
  await reader.network.downloadBlob(cid, new MemorySink(), {
    bytesMax: bytes.length,
    onProgress: (progress) => {
      from = progress.bytesFrom;
    },
  });
  const shares = sources.map(({ network }) => from.get(network.peer) ?? 0);
  assert.ok(
    shares.every((share) => share >= bytes.length / 8),
    shares.join(' '),
  );
  assert.equal(
    shares.reduce((sum, share) => sum + share),
    bytes.length + (manifestBytes?.length ?? 0),
  );
});

test('Network.downloadBlob goes on after an interruption without asking for a held chunk again', async (t) => {
  const [reader, source] = await startPeers(t, 2);
  assert.ok(source);
  const bytes = randomBytes(chunkCount * blobChunkBytes, 'resumed');
  const { cid } = nameBlob(bytes);
  source.blobs.put(bytes);
  source.blobs.delayMs = 20;
  const sink = new MemorySink();
  const broken = new AbortController();
  await assert.rejects(
    reader.network.downloadBlob(cid, sink, {
      bytesMax: bytes.length,
      signal: broken.signal,
      onProgress: ({ bytesHere }) => bytesHere >= 8 * blobChunkBytes && broken.abort(),
    }),
    { code: 'aborted' },
  );
  const kept = sink.chunks.size;
  assert.ok(kept >= 8 && kept < chunkCount, `${kept}`);
  source.blobs.asked.length = 0;
  const held: number[] = [];
  await reader.network.downloadBlob(cid, sink, {
    bytesMax: bytes.length,
    onProgress: ({ bytesHere }) => held.push(bytesHere),
  });
  assert.equal(Buffer.compare(sink.bytes, bytes), 0);
  assert.equal(source.blobs.asked.length, chunkCount - kept);
  assert.equal(held[0], (kept + 1) * blobChunkBytes, 'progress counts what was here');
});

test('Network.downloadBlob leaves a source that is much slower than the others', async (t) => {
  const [reader, fast, slow, spare] = await startPeers(t, 4, {
    limits: { sourcesAtOnce: 2, requestWindow: 1 },
  });
  assert.ok(fast && slow && spare);
  const bytes = randomBytes(100 * blobChunkBytes, 'slow');
  const { cid } = nameBlob(bytes);
  for (const { blobs } of [fast, slow, spare]) blobs.put(bytes);
  fast.blobs.delayMs = 100;
  spare.blobs.delayMs = 100;
  slow.blobs.delayMs = 3_000;
  await reader.network.downloadBlob(cid, new MemorySink(), {
    bytesMax: bytes.length,
    from: [fast.network.peer, slow.network.peer],
  });
  assert.ok(spare.blobs.asked.length > 10, `${spare.blobs.asked.length}`);
  assert.ok(slow.blobs.asked.length < 8, `${slow.blobs.asked.length}`);
});

test('Network.downloadBlob rejects with what its sink throws', async (t) => {
  const [reader, source] = await startPeers(t, 2);
  assert.ok(source);
  const bytes = randomBytes(3 * blobChunkBytes, 'full');
  const cid = source.blobs.put(bytes);
  const sink: ChunkSink = {
    begin: () => new Set(),
    write() {
      throw new Error('no room');
    },
  };
  await assert.rejects(reader.network.downloadBlob(cid, sink, { bytesMax: bytes.length }), /no room/);
});

test('Network.fetchState brings what the ledger of another peer says after a height', async (t) => {
  const [reader, source] = await startPeers(t, 2);
  assert.ok(source);
  source.states.set(64, Uint8Array.of(1, 2, 3));
  assert.deepEqual(await reader.network.fetchState(source.network.peer, 64), Uint8Array.of(1, 2, 3));
  assert.equal(await reader.network.fetchState(source.network.peer, 128), undefined);
});
