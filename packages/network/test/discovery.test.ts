import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cidOf } from '@murmuration/base';
import { createNetwork } from '@murmuration/network';
import {
  impatient,
  loopback,
  networkError,
  patient,
  runId,
  seedOf,
  soonMs,
  startPeer,
  startPeers,
  type TestPeer,
  until,
} from './peers.ts';

const components = {
  blobs: { openBlob: async () => undefined },
  ledger: { entries: () => [] },
  onMessage: () => 'accept' as const,
};

test('createNetwork connects five peers that start together from one bootstrap address', async (t) => {
  const first = await startPeer(t, 1);
  const bootstrap = first.network.addresses();
  const others = await Promise.all([2, 3, 4, 5].map((number) => startPeer(t, number, { bootstrap })));
  const all = [first, ...others];
  await until('each peer has four others', () =>
    all.every(({ network }) => network.connected().length === 4),
  );
  for (const { events, network } of all) {
    assert.equal(new Set(events.filter((event) => event.startsWith('+'))).size, 4, events.join(' '));
    await until('the others are remembered', () => network.knownAddresses().length >= 3);
  }
});

test('createNetwork connects eight peers of one host that dial at the same instant', async (t) => {
  const first = await startPeer(t, 1);
  const bootstrap = first.network.addresses();
  const others = await Promise.all(
    [2, 3, 4, 5, 6, 7, 8].map((number) => startPeer(t, number, { bootstrap })),
  );
  await until('each peer has seven others', () =>
    [first, ...others].every(({ network }) => network.connected().length === 7),
  );
});

test('createNetwork keeps peers of another run out of connected()', async (t) => {
  const first = await startPeer(t, 1);
  const bootstrap = first.network.addresses();
  const stranger = await startPeer(t, 2, { bootstrap, runId: cidOf(Uint8Array.of(9), 'dag-cbor') });
  const friend = await startPeer(t, 3, { bootstrap });
  await until('the friend is connected', () => first.network.connected().length > 0);
  await sleep(500);
  assert.deepEqual(first.network.connected(), [friend.network.peer]);
  assert.deepEqual(stranger.network.connected(), []);
});

test('createNetwork finds a bootstrap peer that comes up late, and again after it went away and came back', async (t) => {
  const probe = await startPeer(t, 9);
  const port = /tcp\/(\d+)/.exec(probe.network.addresses()[0] ?? '')?.[1];
  await probe.network.stop();
  const address = `/ip4/127.0.0.1/tcp/${port}`;
  const init = { bootstrap: [address], limits: impatient };
  const peers = [await startPeer(t, 2, init), await startPeer(t, 3, init)];
  await sleep(700);
  const bootstrap = await startPeer(t, 1, { listen: [address], limits: impatient });
  const everybody = () =>
    [...peers, bootstrap].every(
      ({ network }) => network.connected().includes(bootstrap.network.peer) || network === bootstrap.network,
    ) && peers.every(({ network }) => network.connected().length === 2);
  await until('the late bootstrap peer is found', everybody);
  await bootstrap.network.stop();
  await until('its loss is noticed', () => peers.every(({ network }) => network.connected().length === 1));
  const again = await startPeer(t, 1, { listen: [address], limits: impatient });
  await until('it is found again', () =>
    peers.every(({ network }) => network.connected().includes(again.network.peer)),
  );
  await again.network.publish(Uint8Array.of(42));
  await until('its gossip arrives', () =>
    peers.every(({ messages }) => messages.some(({ bytes }) => bytes[0] === 42)),
  );
});

test('createNetwork finds the others by known addresses alone, as a DHT client too', async (t) => {
  const [first, second] = await startPeers(t, 2);
  const knownAddresses = [...(second?.network.knownAddresses() ?? []), 'rubbish'];
  const late = await startPeer(t, 3, { knownAddresses, dht: 'client' });
  await until('both are found', () => late.network.connected().length === 2);
  assert.ok(late.network.connected().includes(first.network.peer));
});

test('createNetwork does not mind its own address among the bootstrap addresses', async (t) => {
  const probe = await startPeer(t, 1);
  const [own] = probe.network.addresses();
  await probe.network.stop();
  const listen = [String(own).replace(/\/p2p\/.*/, '')];
  const first = await startPeer(t, 1, { listen, bootstrap: listen });
  const second = await startPeer(t, 2, { bootstrap: listen });
  await until('they are connected', () =>
    [first, second].every(({ network }) => network.connected().length === 1),
  );
});

test('createNetwork names the address whose port is in use, and leaves nothing running', async (t) => {
  const first = await startPeer(t, 1);
  const taken = String(first.network.addresses()[0]).replace(/\/p2p\/.*/, '');
  await assert.rejects(
    createNetwork(
      { runId, seed: seedOf(2), listen: [loopback, taken], bootstrap: [], mdns: false },
      components,
    ),
    (error: unknown) => networkError('port-in-use')(error) && String(error).includes(taken),
  );
});

test('createNetwork refuses addresses and seeds that make no sense', async () => {
  const init = { runId, seed: seedOf(2), listen: [loopback], bootstrap: [], mdns: false };
  const cases = [
    [{ ...init, listen: ['127.0.0.1:80'] }, 'bad-address'],
    [{ ...init, listen: ['/ip4/127.0.0.1/udp/0'] }, 'bad-address'],
    [{ ...init, listen: ['/ip4/203.0.113.1/tcp/0'] }, 'bad-address'],
    [{ ...init, bootstrap: ['nowhere'] }, 'bad-address'],
    [{ ...init, seed: new Uint8Array(31) }, 'bad-seed'],
  ] as const;
  for (const [wrong, code] of cases)
    await assert.rejects(createNetwork(wrong, components), networkError(code));
});

test('Network.stop waits for no transfer, and is idempotent', async (t) => {
  const [first, second] = (await startPeers(t, 3, { limits: patient })) as [TestPeer, TestPeer, TestPeer];
  first.blobs.delayMs = patient.stallMs;
  const cid = first.blobs.put(Uint8Array.of(1));
  const pull = assert.rejects(
    second.network.fetchBlob(cid, { bytesMax: 10, from: [first.network.peer] }),
    networkError('aborted'),
  );
  await until('the transfer has begun', () => first.blobs.asked.length > 0);
  const started = performance.now();
  await Promise.all([second.network.stop(), second.network.stop()]);
  assert.ok(performance.now() - started < soonMs, `${performance.now() - started} ms`);
  await pull;
  await assert.rejects(second.network.publish(Uint8Array.of(1)), networkError('stopped'));
});
