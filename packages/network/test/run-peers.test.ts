import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { second } from '@murmuration/base';
import { topicOf } from '../src/gossip.ts';
import { RunPeers } from '../src/run-peers.ts';
import { runId, startPeer, startRogue, until } from './peers.ts';

test('RunPeers disconnects a peer whose gossip stream is gone while a connection is open, and is found again', async (t) => {
  const watcher = await startRogue(t, 1, []);
  const events: string[] = [];
  const peers = new RunPeers(watcher.node, {
    topic: topicOf(runId),
    watchMs: 100,
    muteMs: 0.5 * second,
    onConnect: (peer) => events.push(`+${peer}`),
    onDisconnect: (peer) => events.push(`-${peer}`),
  });
  peers.start();
  t.after(() => peers.stop());
  const other = await startPeer(t, 2, { bootstrap: watcher.node.getMultiaddrs().map(String) });
  const peer = other.network.peer;
  await until('it is connected', () => peers.connected().includes(peer));
  const gossipStreams = () =>
    watcher.node
      .getConnections(peerIdFromString(peer))
      .flatMap(({ streams }) => streams)
      .filter(({ protocol }) => protocol.startsWith('/meshsub/'));
  await until('both gossip streams are open', () => gossipStreams().length === 2);
  for (const stream of gossipStreams()) stream.abort(new Error('the test cuts it'));
  await until('it is disconnected', () => events.length >= 2);
  await until('it is back', () => events.length >= 3 && gossipStreams().length === 2);
  assert.deepEqual(events.slice(0, 3), [`+${peer}`, `-${peer}`, `+${peer}`]);
  await other.network.publish(Uint8Array.of(1));
});

test('RunPeers keeps a peer of which one of two connections closes', async (t) => {
  const first = await startPeer(t, 1);
  const other = await startRogue(t, 2, []);
  const [address] = first.network.addresses();
  assert.ok(address);
  const target = multiaddr(address);
  const one = await other.node.dial(target);
  const two = await other.node.dial(target, { force: true });
  await until('it is connected', () => first.network.connected().includes(other.peer));
  const events = first.events.length;
  const spare = one.streams.some(({ protocol }) => protocol.startsWith('/meshsub/')) ? two : one;
  await spare.close();
  await until('gossip still arrives', async () => {
    await other.node.services.gossip.publish(topicOf(runId), Uint8Array.of(7));
    return first.messages.length > 0;
  });
  assert.equal(first.events.length, events);
});
