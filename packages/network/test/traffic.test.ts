import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { blobProtocol } from '../src/defaults.ts';
import { randomBytes } from './blob-memory.ts';
import { startPeer, startPeers, type TestPeer, until } from './peers.ts';

interface Proxy {
  readonly address: string;
  /** Bytes from the dialler to the target, and back. */
  readonly count: { there: number; back: number };
}

/** A TCP proxy that counts what passes: an independent measurement of the sockets. */
async function startProxy(t: TestContext, target: string): Promise<Proxy> {
  const port = Number(/tcp\/(\d+)/.exec(target)?.[1]);
  const count = { there: 0, back: 0 };
  const sockets = new Set<Socket>();
  const server: Server = createServer((inbound) => {
    const outbound = connect(port, '127.0.0.1');
    for (const socket of [inbound, outbound]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    inbound.on('data', (bytes) => {
      count.there += bytes.length;
    });
    outbound.on('data', (bytes) => {
      count.back += bytes.length;
    });
    inbound.pipe(outbound);
    outbound.pipe(inbound);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`, count };
}

test('Network.traffic counts what crosses the sockets, less encryption and multiplexing', async (t) => {
  const author = await startPeer(t, 1);
  const proxy = await startProxy(t, author.network.addresses()[0] as string);
  const reader = await startPeer(t, 2, { bootstrap: [proxy.address], listen: [] });
  await until('they are connected', () => reader.network.connected().length === 1);
  const bytes = randomBytes(1_500_000, 'traffic');
  await reader.network.fetchBlob(author.blobs.put(bytes), { bytesMax: bytes.length });
  for (let message = 0; message < 20; message++)
    await reader.network.publish(randomBytes(1_000, `${message}`));
  await until('gossip arrives', () => author.messages.length === 20);
  await sleep(100);
  const { sent, received, byProtocol } = reader.network.traffic();
  t.diagnostic(`sent ${sent} of ${proxy.count.there}, received ${received} of ${proxy.count.back}`);
  const between = (streams: number, socket: number): void =>
    assert.ok(
      streams <= socket && socket <= streams * 1.2 + 2_000,
      `${streams} at streams, ${socket} at sockets`,
    );
  between(sent, proxy.count.there);
  between(received, proxy.count.back);
  assert.ok((byProtocol[blobProtocol]?.received ?? 0) >= bytes.length);
  assert.ok((byProtocol[blobProtocol]?.received ?? 0) < bytes.length * 1.01);
});

test('Network.traffic adds up, and is the same seen from both sides', async (t) => {
  const [first, second] = (await startPeers(t, 2)) as [TestPeer, TestPeer];
  await first.network.publish(new Uint8Array(2_000));
  await until('what one sent the other has received', () => {
    const missing = first.network.traffic().sent - second.network.traffic().received;
    return second.messages.length === 1 && Math.abs(missing) < 500;
  });
  const here = first.network.traffic();
  const sum = (key: 'sent' | 'received'): number =>
    Object.values(here.byProtocol).reduce((total, counts) => total + counts[key], 0);
  assert.equal(sum('sent'), here.sent);
  assert.equal(sum('received'), here.received);
  assert.ok(here.sent > 2_000);
});
