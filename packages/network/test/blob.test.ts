import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blobChunkBytes, cidOf, encodeCbor, KiB, nameBlob, sha256 } from '@murmuration/base';
import { encode } from 'it-length-prefixed';
import { decodeRequest, encodeAnswer } from '../src/blob-wire.ts';
import { blobProtocol } from '../src/defaults.ts';
import { createHandler } from '../src/serve.ts';
import { BlobMemory, randomBytes } from './blob-memory.ts';
import {
  impatient,
  networkError,
  patient,
  soonMs,
  startPeer,
  startPeers,
  startRogue,
  type TestPeer,
  until,
} from './peers.ts';
import { serving } from './serving.ts';

test('Network.fetchBlob brings bytes of any length', async (t) => {
  const [author, reader] = (await startPeers(t, 2)) as [TestPeer, TestPeer];
  for (const length of [0, 1, 1_000, blobChunkBytes, blobChunkBytes + 1, 2_500_000]) {
    const bytes = randomBytes(length, `blob ${length}`);
    const fetched = await reader.network.fetchBlob(author.blobs.put(bytes), { bytesMax: length });
    assert.equal(Buffer.compare(fetched, bytes), 0, `${length} bytes`);
  }
});

test('Network.fetchBlob brings a blob whose chunks are equal', async (t) => {
  const [author, reader] = (await startPeers(t, 2)) as [TestPeer, TestPeer];
  const bytes = new Uint8Array(5 * blobChunkBytes + 7).fill(3);
  const fetched = await reader.network.fetchBlob(author.blobs.put(bytes), { bytesMax: bytes.length });
  assert.equal(Buffer.compare(fetched, bytes), 0);
  assert.equal(author.blobs.asked.length, 3);
});

test('Network.fetchBlob pulls a long blob from several sources, each chunk once', async (t) => {
  const [reader, ...sources] = await startPeers(t, 4);
  const bytes = randomBytes(24 * blobChunkBytes, 'several');
  for (const { blobs } of sources) {
    blobs.put(bytes);
    blobs.delayMs = 30;
  }
  const cid = nameBlob(bytes).cid;
  const fetched = await reader.network.fetchBlob(cid, { bytesMax: bytes.length });
  assert.equal(Buffer.compare(fetched, bytes), 0);
  const asked = sources.map(({ blobs }) => blobs.asked.length);
  assert.equal(
    asked.reduce((sum, count) => sum + count),
    25,
  );
  assert.ok(
    asked.every((count) => count >= 3),
    asked.join(' '),
  );
});

test('Network.fetchBlob goes on from other sources, with what it has, when one dies midway', async (t) => {
  const [reader, dying, other] = (await startPeers(t, 3, { limits: impatient })) as [
    TestPeer,
    TestPeer,
    TestPeer,
  ];
  const bytes = randomBytes(20 * blobChunkBytes, 'dies');
  const cid = dying.blobs.put(bytes);
  dying.blobs.delayMs = 40;
  other.blobs.put(bytes);
  const pull = reader.network.fetchBlob(cid, { bytesMax: bytes.length, from: [dying.network.peer] });
  await until('the first source is at work', () => dying.blobs.asked.length > 4);
  await dying.network.stop();
  assert.equal(Buffer.compare(await pull, bytes), 0);
  assert.ok(other.blobs.asked.length < 20 + 4, `${other.blobs.asked.length} chunks asked again`);
});

test('Network.fetchBlob asks others when the preferred source does not have it', async (t) => {
  const [reader, empty, full] = (await startPeers(t, 3)) as [TestPeer, TestPeer, TestPeer];
  const bytes = randomBytes(10, 'asks');
  const cid = full.blobs.put(bytes);
  const fetched = await reader.network.fetchBlob(cid, { bytesMax: 10, from: [empty.network.peer] });
  assert.deepEqual(fetched, bytes);
  assert.equal(empty.blobs.asked.length, 1);
});

test('Network.fetchBlob is unavailable when nobody has it, or nobody is there', async (t) => {
  const [reader] = await startPeers(t, 2);
  const cid = cidOf(Uint8Array.of(1));
  await assert.rejects(reader.network.fetchBlob(cid, { bytesMax: 10 }), networkError('unavailable'));
  const lonely = await startPeer(t, 9);
  await assert.rejects(lonely.network.fetchBlob(cid, { bytesMax: 10 }), networkError('unavailable'));
  await assert.rejects(
    lonely.network.fetchBlob(cid, { bytesMax: 10, from: [reader.network.peer] }),
    networkError('unavailable'),
  );
});

test('Network.fetchBlob refuses a blob that is longer than announced', async (t) => {
  const [author, reader] = (await startPeers(t, 2)) as [TestPeer, TestPeer];
  const short = author.blobs.put(randomBytes(5_000, 'short'));
  await assert.rejects(reader.network.fetchBlob(short, { bytesMax: 4_999 }), networkError('too-long'));
  const before = reader.network.traffic().received;
  const long = author.blobs.put(randomBytes(3_000_000, 'long'));
  await assert.rejects(reader.network.fetchBlob(long, { bytesMax: 2_999_999 }), networkError('too-long'));
  assert.ok(reader.network.traffic().received - before < 200_000, 'the chunks were not read');
});

test('Network.fetchBlob ends with aborted when its signal is', async (t) => {
  const [author, reader] = (await startPeers(t, 2)) as [TestPeer, TestPeer];
  author.blobs.delayMs = patient.stallMs;
  const cid = author.blobs.put(Uint8Array.of(1));
  const started = performance.now();
  await assert.rejects(
    reader.network.fetchBlob(cid, { bytesMax: 10, signal: AbortSignal.timeout(100) }),
    networkError('aborted'),
  );
  assert.ok(performance.now() - started < soonMs, `${performance.now() - started} ms`);
  await assert.rejects(
    reader.network.fetchBlob(cid, { bytesMax: 10, signal: AbortSignal.abort() }),
    networkError('aborted'),
  );
});

test('Network.fetchBlob names a manifest that describes no blob', async (t) => {
  const [author, reader] = (await startPeers(t, 2)) as [TestPeer, TestPeer];
  const manifest = encodeCbor({ size: 3 * blobChunkBytes, chunks: [sha256(Uint8Array.of(1))] });
  const cid = cidOf(manifest, 'dag-cbor');
  author.blobs.set(cid, manifest);
  await assert.rejects(reader.network.fetchBlob(cid, { bytesMax: 1e9 }), networkError('unavailable'));
  const twice = encodeCbor({ size: blobChunkBytes + 9, chunks: [sha256(manifest), sha256(manifest)] });
  const other = cidOf(twice, 'dag-cbor');
  author.blobs.set(other, twice);
  await assert.rejects(reader.network.fetchBlob(other, { bytesMax: 1e9 }), networkError('unavailable'));
});

test('Network.fetchBlob leaves a source that lies about one chunk and finishes from an honest one', async (t) => {
  const [reader, honest] = (await startPeers(t, 2, { limits: impatient })) as [TestPeer, TestPeer];
  const bytes = randomBytes(9 * blobChunkBytes, 'lies');
  const cid = honest.blobs.put(bytes);
  honest.blobs.delayMs = 20;
  const lies = new BlobMemory();
  lies.put(bytes);
  let answers = 0;
  const handler = createHandler(
    {
      requestBytesMax: 33,
      backlogBytesMax: 10 * KiB,
      respond: async (_peer, request) => {
        const chunk = lies.get(decodeRequest(request))?.slice();
        if (chunk && ++answers === 3) chunk[100] = ~(chunk[100] ?? 0);
        return encodeAnswer(chunk);
      },
    },
    serving(t),
  );
  const liar = await startRogue(t, 7, reader.network.addresses(), { [blobProtocol]: handler });
  await until('the liar is in', () => reader.network.connected().includes(liar.peer));
  const fetched = await reader.network.fetchBlob(cid, { bytesMax: bytes.length, from: [liar.peer] });
  assert.equal(Buffer.compare(fetched, bytes), 0);
  assert.ok(answers >= 3);
});

test('Network.fetchBlob of several chunks is not held up by a silent source', async (t) => {
  const [reader, honest] = (await startPeers(t, 2, { limits: impatient })) as [TestPeer, TestPeer];
  const bytes = randomBytes(3 * blobChunkBytes, 'silent');
  const cid = honest.blobs.put(bytes);
  const silent = await startRogue(t, 7, reader.network.addresses(), { [blobProtocol]: () => undefined });
  await until('the silent one is in', () => reader.network.connected().includes(silent.peer));
  const fetched = await reader.network.fetchBlob(cid, { bytesMax: bytes.length, from: [silent.peer] });
  assert.equal(Buffer.compare(fetched, bytes), 0);
});

test('the blob server slows down a peer that takes more than its budget', async (t) => {
  const [author, reader] = (await startPeers(t, 2, { limits: { servedBytesPerSecond: 512 * KiB } })) as [
    TestPeer,
    TestPeer,
  ];
  const bytes = randomBytes(1_024 * KiB, 'budget');
  const cid = author.blobs.put(bytes);
  const started = performance.now();
  await reader.network.fetchBlob(cid, { bytesMax: bytes.length });
  const elapsed = performance.now() - started;
  assert.ok(elapsed > 800 && elapsed < soonMs, `${elapsed} ms for twice the budget`);
});

test('Network.fetchBlob may be called a hundred times at once', async (t) => {
  const [author, reader] = (await startPeers(t, 2)) as [TestPeer, TestPeer];
  const blobs = Array.from({ length: 100 }, (_, index) => randomBytes(3_000, `many ${index}`));
  const options = { bytesMax: 3_000, from: [author.network.peer] };
  const fetched = await Promise.all(
    blobs.map((bytes) => reader.network.fetchBlob(author.blobs.put(bytes), options)),
  );
  assert.deepEqual(fetched, blobs);
});

test('Network.fetchBlob does not wait for a source that drips', async (t) => {
  const [reader, honest] = (await startPeers(t, 2, { limits: patient })) as [TestPeer, TestPeer];
  const bytes = randomBytes(50_000, 'drips');
  const cid = honest.blobs.put(bytes);
  const answer = encode.single(encodeAnswer(bytes)).slice();
  const rogue = await startRogue(t, 7, reader.network.addresses(), {
    [blobProtocol]: (stream) => {
      let at = 0;
      stream.addEventListener('message', () => {
        const drip = setInterval(() => {
          if (stream.writeStatus !== 'writable') clearInterval(drip);
          else stream.send(answer.subarray(at, ++at));
        }, 20);
      });
    },
  });
  await until('the rogue is in', () => reader.network.connected().includes(rogue.peer));
  const started = performance.now();
  assert.deepEqual(await reader.network.fetchBlob(cid, { bytesMax: 50_000, from: [rogue.peer] }), bytes);
  assert.ok(performance.now() - started < soonMs, `${performance.now() - started} ms`);
});
