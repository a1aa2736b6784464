/** Real peers on loopback for the tests of this package: blobs in memory, a recorded ledger, recorded messages. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, Stream } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { type Cid, cidOf, type PeerId, second } from '@murmuration/base';
import {
  createNetwork,
  defaultLimits,
  type Network,
  NetworkError,
  type NetworkErrorCode,
  type NetworkInit,
  type Verdict,
} from '@murmuration/network';
import { topicOf } from '../src/gossip.ts';
import { type Node, startNode } from '../src/node.ts';
import { TrafficMeter } from '../src/traffic.ts';
import { BlobMemory } from './blob-memory.ts';

export const runId: Cid = cidOf(Uint8Array.of(1, 2, 3), 'dag-cbor');
export const loopback = '/ip4/127.0.0.1/tcp/0';

/** Impatient versions of the limits, so that a test of a time-out takes little time. */
export const impatient = { stallMs: 1 * second, redialFirstMs: 100, redialLongestMs: 500 };

/** So patient that whoever waited for a source's silence to end the transfer would be far too late. */
export const patient = { stallMs: 30 * second };
/** Below `patient.stallMs`, above what a busy machine needs. */
export const soonMs: number = 15 * second;

/** Matches a `NetworkError` of this code. */
export const networkError =
  (code: NetworkErrorCode) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof NetworkError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };

export interface TestPeer {
  readonly network: Network;
  readonly blobs: BlobMemory;
  readonly messages: { readonly from: PeerId; readonly bytes: Uint8Array }[];
  readonly events: string[];
  readonly ledger: Uint8Array[];
  readonly states: Map<number, Uint8Array>;
  /** Entries of recoveries, from height 1 on. */
  readonly recoveries: Map<Cid, readonly Uint8Array[]>;
  /** How this peer judges messages from now on. */
  judge: (from: PeerId, bytes: Uint8Array) => Verdict | Promise<Verdict>;
}

export const seedOf = (number: number): Uint8Array =>
  new Uint8Array(32).fill(number & 255).fill(number >> 8, 16);

/** Starts a peer that stops with the test. */
export async function startPeer(
  t: TestContext,
  number: number,
  init: Partial<NetworkInit> = {},
): Promise<TestPeer> {
  const peer = {
    blobs: new BlobMemory(),
    messages: [],
    events: [],
    ledger: [],
    states: new Map(),
    recoveries: new Map(),
    judge: () => 'accept',
  } as Omit<TestPeer, 'network'>;
  const network = await createNetwork(
    { runId, seed: seedOf(number), listen: [loopback], bootstrap: [], mdns: false, ...init },
    {
      blobs: peer.blobs,
      ledger: {
        entries(from, countMax, _bytesMax, opening) {
          const entries = opening ? [new Uint8Array(), ...(peer.recoveries.get(opening) ?? [])] : peer.ledger;
          return entries
            .slice(from, from + countMax)
            .map((bytes, index) => ({ height: from + index, bytes }));
        },
        state: (height) => peer.states.get(height),
      },
      onMessage: (from, bytes) => {
        peer.messages.push({ from, bytes });
        return peer.judge(from, bytes);
      },
      onConnect: (other) => peer.events.push(`+${other}`),
      onDisconnect: (other) => peer.events.push(`-${other}`),
    },
  );
  t.after(() => network.stop());
  return Object.assign(peer, { network });
}

export interface Rogue {
  readonly node: Node;
  readonly peer: PeerId;
}

/** Several rogues in one second are more than a host may open connections: a refused one comes again. */
async function dialPatiently(node: Node, address: string): Promise<void> {
  for (let attempt = 1; ; attempt++)
    try {
      await node.dial(multiaddr(address));
      return;
    } catch (error) {
      if (attempt === 20) throw error;
      await sleep(250);
    }
}

/** A bare node that speaks the run's gossip, and on other protocols says whatever the test wants. */
export async function startRogue(
  t: TestContext,
  number: number,
  bootstrap: readonly string[],
  answer: { readonly [protocol: string]: (stream: Stream, connection: Connection) => void } = {},
): Promise<Rogue> {
  const node = await startNode({
    runId,
    seed: seedOf(number),
    listen: [loopback],
    mdns: false,
    dht: 'server',
    topic: topicOf(runId),
    limits: defaultLimits,
    meter: new TrafficMeter(),
    gater: {},
    onLanPeer: () => undefined,
  });
  t.after(async () => {
    for (const connection of node.getConnections()) connection.abort(new Error('the test is over'));
    await node.stop();
  });
  node.services.gossip.subscribe(topicOf(runId));
  for (const [protocol, handler] of Object.entries(answer))
    await node.handle(protocol, handler, { maxInboundStreams: 64 });
  for (const address of bootstrap) await dialPatiently(node, address);
  return { node, peer: node.peerId.toString() as PeerId };
}

/** Resolves when a condition holds; rejects with its description after `timeoutMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number = 90 * second,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(20);
  }
}

/** Two or more peers that know each other through the first one. */
export async function startPeers(
  t: TestContext,
  count: number,
  init: Partial<NetworkInit> = {},
): Promise<[TestPeer, ...TestPeer[]]> {
  const first = await startPeer(t, 1, init);
  const others: TestPeer[] = [];
  for (let number = 2; number <= count; number++)
    others.push(await startPeer(t, number, { bootstrap: first.network.addresses(), ...init }));
  const all: [TestPeer, ...TestPeer[]] = [first, ...others];
  await until(`${count} peers are connected`, () =>
    all.every(({ network }) => network.connected().length === count - 1),
  );
  return all;
}
