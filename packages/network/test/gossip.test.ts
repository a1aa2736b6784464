import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { KiB, second } from '@murmuration/base';
import type { Verdict } from '@murmuration/network';
import { gossipBytesMax } from '@murmuration/network';
import { topicOf } from '../src/gossip.ts';
import { randomBytes } from './blob-memory.ts';
import { networkError, runId, startPeer, startPeers, startRogue, type TestPeer, until } from './peers.ts';

test('Network.publish reaches every other peer with its author, and not the author', async (t) => {
  const peers = await startPeers(t, 4);
  const [first] = peers;
  await first.network.publish(Uint8Array.of(1, 2, 3));
  await until('all have it', () => peers.slice(1).every(({ messages }) => messages.length === 1));
  for (const { messages } of peers.slice(1)) {
    assert.equal(messages[0]?.from, first.network.peer);
    assert.deepEqual([...(messages[0]?.bytes ?? [])], [1, 2, 3]);
  }
  await sleep(200);
  assert.equal(first.messages.length, 0);
});

test('Network.publish does not throw while nobody is connected', async (t) => {
  const lonely = await startPeer(t, 1);
  await lonely.network.publish(Uint8Array.of(1));
});

test('Network.publish takes 16 KiB and refuses one byte more', async (t) => {
  const [first, other] = await startPeers(t, 2);
  await first.network.publish(new Uint8Array(gossipBytesMax));
  await until('it arrives', () => other?.messages[0]?.bytes.length === gossipBytesMax);
  await assert.rejects(first.network.publish(new Uint8Array(gossipBytesMax + 1)), networkError('too-long'));
});

/** A line: the middle peer decides what the last one sees. */
for (const [verdict, arrives] of [
  ['accept', true],
  ['ignore', false],
  ['reject', false],
] as const satisfies readonly (readonly [Verdict, boolean])[])
  test(`onMessage ${verdict} ${arrives ? 'forwards' : 'does not forward'} a message`, async (t) => {
    const [middle, last] = await startPeers(t, 2);
    middle.judge = () => verdict;
    const author = await startRogue(t, 3, middle.network.addresses().slice(0, 1));
    const lastPeer = last?.network.peer;
    for (const connection of author.node.getConnections())
      if (connection.remotePeer.toString() === lastPeer) await connection.close();
    await until(
      'the author hears the middle',
      () => author.node.services.gossip.getSubscribers(topicOf(runId)).length > 0,
    );
    await until('the middle hears the author', () => middle.network.connected().includes(author.peer));
    await author.node.services.gossip.publish(topicOf(runId), Uint8Array.of(5));
    await until('the middle judges it', () => middle.messages.length === 1);
    if (arrives) await until('it is forwarded', () => last?.messages.length === 1);
    else await sleep(500);
    assert.equal(last?.messages.length, arrives ? 1 : 0);
  });

test('onMessage that throws counts as ignore, and the peer lives on', async (t) => {
  const [first, other] = (await startPeers(t, 2)) as [TestPeer, TestPeer];
  other.judge = (_from, bytes) => {
    if (bytes[0] === 0) throw new Error('a defect');
    return 'accept';
  };
  await first.network.publish(Uint8Array.of(0));
  await first.network.publish(Uint8Array.of(1));
  await until('both were judged', () => other.messages.length === 2);
});

test('RunGossip rejects messages over 16 KiB unseen, and a peer that sends four is silenced', async (t) => {
  const [first] = await startPeers(t, 1);
  const rogue = await startRogue(t, 3, first.network.addresses());
  const gossip = rogue.node.services.gossip;
  await until('the rogue is in', () => first.network.connected().includes(rogue.peer));
  await until('the rogue knows it', () => gossip.getSubscribers(topicOf(runId)).length === 1);
  await gossip.publish(topicOf(runId), Uint8Array.of(8));
  await until('a good message of it arrives', () => first.messages.length === 1);
  for (let number = 0; number < 5; number++)
    await gossip.publish(topicOf(runId), randomBytes(gossipBytesMax + 1, `${number}`));
  let probe = 0;
  await until('the rogue is silenced', async () => {
    const before = first.messages.length;
    await gossip.publish(topicOf(runId), Uint8Array.of(9, probe++));
    await sleep(1 * second);
    return first.messages.length === before;
  });
  assert.ok(first.messages.every(({ bytes }) => bytes.length <= gossipBytesMax));
  const honest = await startPeer(t, 2, { bootstrap: first.network.addresses() });
  await until('an honest peer is in', () => honest.network.connected().includes(first.network.peer));
  await honest.network.publish(Uint8Array.of(1));
  await until('honest gossip still flows', () =>
    first.messages.some(({ from }) => from === honest.network.peer),
  );
});

test('RunGossip judges a few messages at a time and ignores what exceeds the queue', async (t) => {
  const limits = { judgedAtOnce: 2, waitingMax: 10, waitingPerPeerMax: 5 };
  const [first, author] = (await startPeers(t, 2, { limits })) as [TestPeer, TestPeer];
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  let running = 0;
  let runningMax = 0;
  first.judge = async (): Promise<Verdict> => {
    runningMax = Math.max(runningMax, ++running);
    await released;
    running--;
    return 'accept';
  };
  const before = first.network.traffic().received;
  const length = 1 * KiB;
  for (let number = 0; number < 40; number++) await author.network.publish(randomBytes(length, `${number}`));
  await until('all have arrived', () => first.network.traffic().received - before > 40 * length);
  await sleep(500);
  assert.equal(running, 2);
  release();
  await until('those that waited are judged', () => first.messages.length === 7);
  await sleep(200);
  assert.deepEqual([first.messages.length, runningMax], [7, 2]);
});
