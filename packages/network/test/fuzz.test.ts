import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import {
  blobChunkBytes,
  cidOf,
  createRandom,
  encodeCbor,
  nameBlob,
  type Random,
  second,
} from '@murmuration/base';
import { NetworkError } from '@murmuration/network';
import fc from 'fast-check';
import { encode } from 'it-length-prefixed';
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest } from '../src/blob-wire.ts';
import { blobProtocol, ledgerProtocol, offencesMax } from '../src/defaults.ts';
import { decodeEntries, decodeRange } from '../src/ledger-exchange.ts';
import { randomBytes } from './blob-memory.ts';
import { impatient, type Rogue, runId, startPeers, startRogue, type TestPeer, until } from './peers.ts';

const isNetworkError = (error: unknown): boolean => error instanceof NetworkError;

for (const [name, decodeBytes] of [
  ['decodeRequest', decodeRequest],
  ['decodeAnswer', decodeAnswer],
  ['decodeRange', decodeRange],
  ['decodeEntries', (bytes: Uint8Array) => decodeEntries(bytes, 0, 4)],
] as const)
  test(`${name} reads arbitrary bytes or throws NetworkError`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          decodeBytes(bytes);
        } catch (error) {
          return isNetworkError(error);
        }
        return true;
      }),
    );
  });

for (const [name, good, decodeBytes] of [
  ['decodeRequest', encodeRequest(cidOf(Uint8Array.of(1))), decodeRequest],
  ['decodeAnswer', encodeAnswer(Uint8Array.of(1, 2, 3)), decodeAnswer],
  ['decodeRange', encodeCbor({ run: runId, from: 0, count: 4, bytes: 1_000 }), decodeRange],
  [
    'decodeEntries',
    encodeCbor({ entries: [[0, Uint8Array.of(1)]] }),
    (bytes: Uint8Array) => decodeEntries(bytes, 0, 4),
  ],
] as const)
  test(`${name} reads a truncated or bit-flipped message as another one or throws NetworkError`, () => {
    const whole = decodeBytes(good);
    const damaged = Array.from({ length: good.length }, (_, length) => good.slice(0, length));
    for (let bit = 0; bit < 8 * good.length; bit++) {
      const flipped = good.slice();
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
      damaged.push(flipped);
    }
    for (const bytes of damaged)
      try {
        assert.notDeepEqual(decodeBytes(bytes), whole);
      } catch (error) {
        if (!isNetworkError(error)) throw error;
      }
  });

/** One way of breaking a good message. */
type Damage = (message: Uint8Array, random: Random) => Uint8Array;

const damages: Readonly<Record<string, Damage>> = {
  'random bytes': (message, random) => randomBytes(message.length + random.below(64), `${random.uint32()}`),
  'a truncated message': (message, random) => message.slice(0, random.below(message.length)),
  'a flipped bit': (message, random) => {
    const flipped = message.slice();
    const at = random.below(flipped.length);
    flipped[at] = (flipped[at] as number) ^ (1 << random.below(8));
    return flipped;
  },
  'a giant length': (message) => Uint8Array.of(0xff, 0xff, 0xff, 0x7f, ...message.subarray(0, 100)),
  'an endless length': () => new Uint8Array(64).fill(0xff),
  'negative length': () => Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01),
};

const blob = randomBytes(2 * blobChunkBytes, 'fuzz');
const framed = (bytes: Uint8Array): Uint8Array => encode.single(bytes).slice();
const goodRequests: Readonly<Record<string, Uint8Array>> = {
  [blobProtocol]: framed(encodeRequest(nameBlob(blob).cid)),
  [ledgerProtocol]: framed(encodeCbor({ run: runId, from: 0, count: 4, bytes: 1_000 })),
};

async function send(
  rogue: Rogue,
  peer: string,
  protocol: string,
  bytes: Uint8Array,
): Promise<Stream | undefined> {
  try {
    const stream = await rogue.node.dialProtocol(peerIdFromString(peer), protocol, {
      signal: AbortSignal.timeout(30 * second),
    });
    stream.addEventListener('message', () => undefined);
    stream.send(bytes);
    return stream;
  } catch {
    return undefined;
  }
}

/** An honest peer still gets a blob and a ledger range from the one that was attacked. */
async function assertAlive(attacked: TestPeer, honest: TestPeer): Promise<void> {
  const { cid } = nameBlob(blob);
  const options = { bytesMax: blob.length, from: [attacked.network.peer] };
  assert.equal(Buffer.compare(await honest.network.fetchBlob(cid, options), blob), 0);
  assert.equal((await honest.network.fetchEntries(attacked.network.peer, 0)).length, 1);
}

const startTargets = async (t: TestContext): Promise<{ attacked: TestPeer; honest: TestPeer }> => {
  const limits = { ...impatient, stallMs: 10 * second };
  const [attacked, honest] = (await startPeers(t, 2, { limits })) as [TestPeer, TestPeer];
  attacked.blobs.put(blob);
  attacked.ledger.push(Uint8Array.of(1));
  return { attacked, honest };
};

const startAttack = async (
  t: TestContext,
): Promise<{ attacked: TestPeer; honest: TestPeer; rogue: Rogue }> => {
  const targets = await startTargets(t);
  return { ...targets, rogue: await startRogue(t, 7, targets.attacked.network.addresses()) };
};

/** Each kind of damage comes from a rogue of its own, which nobody has refused yet. */
const attacks = Object.entries(damages).map(([what, damage], index) => ({
  what,
  damage,
  number: 10 + index,
}));

for (const [protocol, good] of Object.entries(goodRequests))
  test(`${protocol} survives requests`, async (t) => {
    const { attacked, honest } = await startTargets(t);
    for (const { what, damage, number } of attacks)
      await t.test(`with ${what}`, async (attack) => {
        const rogue = await startRogue(attack, number, attacked.network.addresses());
        const random = createRandom(`${protocol} ${what}`);
        for (let round = 0; round < 24; round++) {
          const stream = await send(rogue, attacked.network.peer, protocol, damage(good, random));
          if (round % 3 === 0) await stream?.close().catch(() => undefined);
        }
        await assertAlive(attacked, honest);
      });
  });

test('a peer that goes on sending rubbish is refused: disconnected, and not let in again', async (t) => {
  const { attacked, honest, rogue } = await startAttack(t);
  await until('the rogue is in', () => attacked.network.connected().includes(rogue.peer));
  for (let offence = 0; offence < offencesMax; offence++)
    await send(rogue, attacked.network.peer, blobProtocol, Uint8Array.of(2, 9, 9));
  await until('the rogue is out', () => !attacked.network.connected().includes(rogue.peer));
  assert.equal(
    await send(rogue, attacked.network.peer, blobProtocol, goodRequests[blobProtocol] as Uint8Array),
    undefined,
  );
  await assertAlive(attacked, honest);
});

test('a peer that opens a thousand streams is bounded, and others are served meanwhile', async (t) => {
  const { attacked, honest, rogue } = await startAttack(t);
  const streams = Array.from({ length: 1_000 }, async () =>
    send(rogue, attacked.network.peer, blobProtocol, goodRequests[blobProtocol] as Uint8Array),
  );
  await assertAlive(attacked, honest);
  await Promise.all(streams);
  await assertAlive(attacked, honest);
});

test('a peer that asks without reading the answers holds few bytes and no others up', async (t) => {
  const { attacked, honest, rogue } = await startAttack(t);
  const asking = goodRequests[blobProtocol] as Uint8Array;
  const stream = await rogue.node.dialProtocol(peerIdFromString(attacked.network.peer), blobProtocol);
  stream.pause();
  const before = process.memoryUsage().arrayBuffers;
  for (let request = 0; request < 20_000 && stream.status === 'open'; request++) {
    stream.send(asking);
    if (request % 100 === 0) await sleep(1);
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1_048_576);
  await assertAlive(attacked, honest);
});

/** Sources that answer with damaged bytes, next to an honest one. */
for (const [protocol, good] of [
  [blobProtocol, framed(Uint8Array.of(0, ...blob.subarray(0, 2_000)))],
  [ledgerProtocol, framed(encodeCbor({ entries: [[0, Uint8Array.of(1)]] }))],
] as const)
  test(`${protocol} survives answers`, async (t) => {
    const [reader, honest] = (await startPeers(t, 2, { limits: impatient })) as [TestPeer, TestPeer];
    const bytes = blob.subarray(0, 2_000);
    const cid = honest.blobs.put(bytes);
    honest.ledger.push(Uint8Array.of(1));
    for (const { what, damage, number } of attacks)
      await t.test(`with ${what}`, async (attack) => {
        const random = createRandom(`answers ${protocol} ${what}`);
        let answers = 0;
        const rogue = await startRogue(attack, number, reader.network.addresses(), {
          [protocol]: (stream) => {
            stream.addEventListener('message', () => {
              if (stream.writeStatus !== 'writable') return;
              stream.send(damage(good, random));
              if (++answers % 2 === 1) void stream.close().catch(() => undefined);
            });
          },
        });
        await until('the rogue is in', () => reader.network.connected().includes(rogue.peer));
        for (let round = 0; round < 3; round++)
          if (protocol === blobProtocol) {
            const fetched = await reader.network.fetchBlob(cid, { bytesMax: 2_000, from: [rogue.peer] });
            assert.equal(Buffer.compare(fetched, bytes), 0);
          } else
            await reader.network.fetchEntries(rogue.peer, 0).then(
              (entries) => assert.equal(entries.length, 1),
              (error: unknown) => assert.ok(isNetworkError(error), String(error)),
            );
        assert.ok(answers > 0);
        assert.equal((await reader.network.fetchEntries(honest.network.peer, 0)).length, 1);
        await assert.rejects(
          reader.network.fetchBlob(cidOf(Uint8Array.of(9)), { bytesMax: 9 }),
          isNetworkError,
        );
      });
  });

test('Network.fetchBlob stops reading a source that floods it', async (t) => {
  const [reader, honest] = (await startPeers(t, 2, { limits: impatient })) as [TestPeer, TestPeer];
  const cid = honest.blobs.put(blob);
  const rogue = await startRogue(t, 7, reader.network.addresses(), {
    [blobProtocol]: (stream) => {
      stream.addEventListener('message', () => {
        for (let frame = 0; frame < 200 && stream.writeStatus === 'writable'; frame++)
          try {
            stream.send(framed(new Uint8Array(100_000)));
          } catch {
            return;
          }
      });
    },
  });
  await until('the rogue is in', () => reader.network.connected().includes(rogue.peer));
  const before = reader.network.traffic().received;
  const fetched = await reader.network.fetchBlob(cid, { bytesMax: blob.length, from: [rogue.peer] });
  assert.equal(Buffer.compare(fetched, blob), 0);
  assert.ok(reader.network.traffic().received - before < 8_000_000);
});
