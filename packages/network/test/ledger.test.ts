import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cid, cidOf, encodeCbor, KiB, MiB } from '@murmuration/base';
import { defaultLimits, NetworkError } from '@murmuration/network';
import { ledgerProtocol } from '../src/defaults.ts';
import { createHandler } from '../src/serve.ts';
import { randomBytes } from './blob-memory.ts';
import { networkError, startPeer, startPeers, startRogue, type TestPeer, until } from './peers.ts';
import { serving } from './serving.ts';

test('Network.fetchEntries brings a contiguous range, bounded by count', async (t) => {
  const [author, reader] = (await startPeers(t, 2)) as [TestPeer, TestPeer];
  for (let height = 0; height < 400; height++) author.ledger.push(Uint8Array.of(height & 255, height >> 8));
  const peer = author.network.peer;
  const some = await reader.network.fetchEntries(peer, 10, { countMax: 5 });
  assert.deepEqual(
    some.map(({ height, bytes }) => [height, ...bytes]),
    [10, 11, 12, 13, 14].map((height) => [height, height, 0]),
  );
  assert.equal((await reader.network.fetchEntries(peer, 0)).length, defaultLimits.entriesMax);
  assert.equal((await reader.network.fetchEntries(peer, 390)).length, 10);
  assert.deepEqual(await reader.network.fetchEntries(peer, 1_000), []);
});

test('Network.fetchEntries brings the entries of a recovery, and none of another one', async (t) => {
  const [survivor, other] = (await startPeers(t, 2)) as [TestPeer, TestPeer];
  const [opening, unknown] = [1, 2].map((byte) => cidOf(Uint8Array.of(byte), 'dag-cbor'));
  for (let height = 0; height < 9; height++) survivor.ledger.push(Uint8Array.of(0));
  if (opening) survivor.recoveries.set(opening, [Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)]);
  const ask = async (from: number, name: Cid | undefined) =>
    (await other.network.fetchEntries(survivor.network.peer, from, { opening: name })).map(
      ({ height, bytes }) => [height, ...bytes],
    );
  assert.deepEqual(await ask(2, opening), [
    [2, 2],
    [3, 3],
  ]);
  assert.deepEqual(await ask(2, unknown), []);
  assert.equal((await ask(2, undefined)).length, 7);
});

test('Network.fetchEntries brings no more bytes than one answer may hold', async (t) => {
  const [author, reader] = (await startPeers(t, 2)) as [TestPeer, TestPeer];
  for (let height = 0; height < 30; height++) author.ledger.push(randomBytes(100 * KiB, `${height}`));
  const entries = await reader.network.fetchEntries(author.network.peer, 0);
  assert.equal(entries.length, 10);
  assert.deepEqual(entries[9]?.bytes, author.ledger[9]);
  author.ledger[0] = new Uint8Array(2 * MiB);
  assert.deepEqual(await reader.network.fetchEntries(author.network.peer, 0), []);
});

test('Network.fetchEntries from a peer of another run, or from nobody, is unavailable', async (t) => {
  const first = await startPeer(t, 1);
  const bootstrap = first.network.addresses();
  const stranger = await startPeer(t, 2, { bootstrap, runId: cidOf(Uint8Array.of(9), 'dag-cbor') });
  await until('they are connected', async () =>
    stranger.network.fetchEntries(first.network.peer, 0).then(
      () => true,
      (error: unknown) => error instanceof NetworkError && error.message.includes('another run'),
    ),
  );
  const gone = stranger.network.peer;
  await stranger.network.stop();
  await assert.rejects(first.network.fetchEntries(gone, 0), networkError('unavailable'));
});

const lies = [
  [
    'a gap',
    {
      entries: [
        [0, new Uint8Array()],
        [2, new Uint8Array()],
      ],
    },
  ],
  ['another start', { entries: [[1, new Uint8Array()]] }],
  ['text for bytes', { entries: [[0, 'text']] }],
  [
    'more than asked',
    {
      entries: [
        [0, new Uint8Array()],
        [1, new Uint8Array()],
        [2, new Uint8Array()],
        [3, new Uint8Array()],
      ],
    },
  ],
  ['no entries', {}],
  ['a list', [1]],
] as const;

test('Network.fetchEntries refuses an answer', async (t) => {
  const [reader] = await startPeers(t, 1);
  for (const [index, [what, answer]] of lies.entries())
    await t.test(`with ${what}`, async (lie) => {
      const handler = createHandler(
        { requestBytesMax: 256, backlogBytesMax: KiB, respond: async () => encodeCbor(answer) },
        serving(lie),
      );
      const liar = await startRogue(lie, 10 + index, reader.network.addresses(), {
        [ledgerProtocol]: handler,
      });
      await until('the liar is in', () => reader.network.connected().includes(liar.peer));
      await assert.rejects(
        reader.network.fetchEntries(liar.peer, 0, { countMax: 3 }),
        networkError('bad-message'),
      );
    });
});
