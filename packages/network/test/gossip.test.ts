import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Verdict } from '@murmuration/network';
import { gossipBytesMax, NetworkError } from '@murmuration/network';
import { topicOf } from '../src/gossip.ts';
import { randomBytes, runId, startPeer, startPeers, startRogue, until } from './peers.ts';

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
  const [first, second] = await startPeers(t, 2);
  await first.network.publish(new Uint8Array(gossipBytesMax));
  await until('it arrives', () => second?.messages[0]?.bytes.length === gossipBytesMax);
  await assert.rejects(
    first.network.publish(new Uint8Array(gossipBytesMax + 1)),
    (error: unknown) => error instanceof NetworkError && error.code === 'too-long',
  );
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
    await author.node.stop();
    const direct = await startRogue(t, 4, middle.network.addresses().slice(0, 1));
    const lastPeer = last?.network.peer;
    for (const connection of direct.node.getConnections())
      if (connection.remotePeer.toString() === lastPeer) await connection.close();
    await until(
      'the author hears the middle',
      () => direct.node.services.gossip.getSubscribers(topicOf(runId)).length > 0,
    );
    await until('the middle hears the author', () => middle.network.connected().includes(direct.peer));
    await direct.node.services.gossip.publish(topicOf(runId), Uint8Array.of(5));
    await until('the middle judges it', () => middle.messages.length === 1);
    await sleep(300);
    assert.equal(last?.messages.length, arrives ? 1 : 0);
  });

test('onMessage that throws counts as ignore, and the peer lives on', async (t) => {
  const [first, second] = await startPeers(t, 2);
  if (second)
    second.judge = (_from, bytes) => {
      if (bytes[0] === 0) throw new Error('a defect');
      return 'accept';
    };
  await first.network.publish(Uint8Array.of(0));
  await first.network.publish(Uint8Array.of(1));
  await until('both were judged', () => second?.messages.length === 2);
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
  await sleep(1_300);
  await gossip.publish(topicOf(runId), Uint8Array.of(9));
  await sleep(300);
  assert.equal(first.messages.length, 1);
  const honest = await startPeer(t, 2, { bootstrap: first.network.addresses() });
  await until('an honest peer is in', () => honest.network.connected().includes(first.network.peer));
  await honest.network.publish(Uint8Array.of(1));
  await until('honest gossip still flows', () => first.messages.length === 2);
});

test('RunGossip judges a few messages at a time and ignores what exceeds the queue', async (t) => {
  const limits = { judgedAtOnce: 2, waitingMax: 10, waitingPerPeerMax: 5 };
  const [first, second] = await startPeers(t, 2, { limits });
  let running = 0;
  let runningMax = 0;
  first.judge = async (): Promise<Verdict> => {
    runningMax = Math.max(runningMax, ++running);
    await sleep(300);
    running--;
    return 'accept';
  };
  for (let number = 0; number < 40; number++) await second?.network.publish(Uint8Array.of(number));
  await sleep(1_500);
  assert.equal(runningMax, 2);
  assert.ok(first.messages.length >= 7 && first.messages.length <= 12, `${first.messages.length} judged`);
});
