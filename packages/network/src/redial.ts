/** Configured addresses are dialled until they answer, and again when they are lost, for as long as the node runs. */
import type { Libp2pEvents } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import type { Random } from '@murmuration/base';
import { backOffFactor, backOffJitter, type NetworkLimits } from './defaults.ts';
import type { Node } from './node.ts';
import { pause } from './pause.ts';

/** A pause of `ms`, more or less. */
export const jittered = (ms: number, random: Random): number =>
  ms * (1 + backOffJitter * (2 * random.unit() - 1));

interface Target {
  readonly address: Multiaddr;
  /** Known from the address, or from the first answer. */
  peer: string | undefined;
}

const peerOf = (address: Multiaddr): string | undefined =>
  address.getComponents().findLast(({ name }) => name === 'p2p')?.value;

export interface RedialComponents {
  readonly node: Node;
  readonly limits: NetworkLimits;
  readonly random: Random;
  readonly signal: AbortSignal;
}

/** Starts one loop per address; each ends with the signal, or when the address turns out to be our own. */
export function keepDialling(addresses: readonly string[], components: RedialComponents): void {
  for (const address of new Set(addresses)) {
    const target: Target = { address: multiaddr(address), peer: peerOf(multiaddr(address)) };
    void keepOne(target, components);
  }
}

async function keepOne(target: Target, { node, limits, random, signal }: RedialComponents): Promise<void> {
  let waitMs = limits.redialFirstMs;
  while (!signal.aborted && target.peer !== node.peerId.toString()) {
    if (await dial(target, node, signal)) {
      waitMs = limits.redialFirstMs;
      await lost(target, node, signal);
    } else if (target.peer !== node.peerId.toString()) {
      await pause(jittered(waitMs, random), signal);
      waitMs = Math.min(limits.redialLongestMs, waitMs * backOffFactor);
    }
  }
}

async function dial(target: Target, node: Node, signal: AbortSignal): Promise<boolean> {
  try {
    const connection = await node.dial(target.address, { signal });
    target.peer = connection.remotePeer.toString();
    return true;
  } catch (error) {
    if (error instanceof Error && /dial self/i.test(error.message)) target.peer = node.peerId.toString();
    return false;
  }
}

/** Resolves when the last connection to a target's peer is gone. */
function lost(target: Target, node: Node, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      node.removeEventListener('peer:disconnect', onDisconnect);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const onDisconnect = (event: Libp2pEvents['peer:disconnect']): void => {
      if (event.detail.toString() === target.peer) done();
    };
    node.addEventListener('peer:disconnect', onDisconnect);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted || node.getConnections(peerIdFromString(target.peer as string)).length === 0) done();
  });
}
