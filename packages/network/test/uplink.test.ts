import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { UplinkMeter } from '../src/uplink.ts';
import { randomBytes } from './blob-memory.ts';
import { startPeer, until } from './peers.ts';

test('UplinkMeter divides the bytes by the time in which something was under way', () => {
  const meter = new UplinkMeter();
  assert.deepEqual(meter.uplink(), { bytesPerSecond: undefined, servedBytes: 0 });
  meter.note({ bytes: 10_000, begunMs: 0, endedMs: 100 });
  meter.note({ bytes: 20_000, begunMs: 50, endedMs: 150 });
  meter.note({ bytes: 30_000, begunMs: 1_000, endedMs: 1_150 });
  assert.deepEqual(meter.uplink(), { bytesPerSecond: 200_000, servedBytes: 60_000 });
});

test('UplinkMeter learns nothing from short answers, and forgets what is long ago', () => {
  const meter = new UplinkMeter();
  for (let i = 0; i < 100; i++) meter.note({ bytes: 1, begunMs: i * 1_000, endedMs: i * 1_000 + 500 });
  assert.deepEqual(meter.uplink(), { bytesPerSecond: undefined, servedBytes: 100 });
  for (let i = 100; i < 200; i++)
    meter.note({ bytes: 1_000_000, begunMs: i * 1_000, endedMs: (i + 1) * 1_000 });
  for (let i = 200; i < 260; i++)
    meter.note({ bytes: 100_000, begunMs: i * 1_000, endedMs: (i + 1) * 1_000 });
  const { bytesPerSecond } = meter.uplink();
  assert.ok(bytesPerSecond && bytesPerSecond < 110_000, `${bytesPerSecond}`);
});

test('Network.uplink measures a line that carries 1 MB/s, small blobs included', async (t) => {
  const author = await startPeer(t, 1);
  const port = Number(/tcp\/(\d+)/.exec(author.network.addresses()[0] as string)?.[1]);
  const perTick = 20_000;
  const server = createServer((inbound) => {
    const outbound = connect(port, '127.0.0.1');
    for (const socket of [inbound, outbound]) socket.on('error', () => undefined);
    t.after(() => [inbound, outbound].map((socket) => socket.destroy()));
    inbound.pipe(outbound);
    let line: Promise<unknown> = Promise.resolve();
    outbound.on('data', (bytes: Buffer) => {
      line = line.then(async () => {
        await sleep((20 * bytes.length) / perTick);
        inbound.write(bytes);
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`;
  const reader = await startPeer(t, 2, { bootstrap: [address], listen: [] });
  await until('they are connected', () => reader.network.connected().length === 1);
  const sizes = [60_000, 100_000, 200_000];
  for (const [index, size] of sizes.entries())
    await reader.network.fetchBlob(author.blobs.put(randomBytes(size, `uplink ${index}`)), {
      bytesMax: size,
    });
  await until('the streams have ended', () => author.network.uplink().servedBytes >= 360_000);
  const { bytesPerSecond } = author.network.uplink();
  t.diagnostic(`measured ${bytesPerSecond} bytes per second`);
  assert.ok(bytesPerSecond && bytesPerSecond > 300_000 && bytesPerSecond < 1_200_000, `${bytesPerSecond}`);
});
