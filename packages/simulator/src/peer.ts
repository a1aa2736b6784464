/**
 * One simulated peer: who it is, its disk, and at most one process at a time. The disk survives the process; replica,
 * trainer, timers and answers on their way end with it.
 */
import type { Cid, PeerId, Random, RunConfig } from '@murmuration/base';
import type { ReplicaEvent, Role } from '@murmuration/protocol';
import { type Clock, createClock } from './clock.ts';
import type { DeltaReader } from './delta-reader.ts';
import { createDisk, type Disk } from './disk.ts';
import type { Judge } from './judge.ts';
import type { Keys } from './keys.ts';
import type { Liar } from './liars.ts';
import { createLife, type Life } from './life.ts';
import type { Mutant } from './mutant.ts';
import type { Network } from './network.ts';
import type { Fault, Scenario, Traits } from './scenario.ts';
import type { Trace } from './trace.ts';
import type { Traffic } from './traffic.ts';
import type { Checkpoint } from './trained.ts';
import type { World } from './world.ts';

/** What all peers of a simulation share. */
export interface Setting {
  readonly scenario: Scenario;
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly runDigest: Uint8Array;
  readonly world: World;
  readonly judge: Judge;
  readonly keys: Keys;
  readonly network: Network;
  readonly traffic: Traffic;
  readonly trace: Trace | undefined;
  readonly reader: DeltaReader;
  readonly mutant: Mutant | undefined;
  /** What everybody's checkpoint is before the first block. */
  readonly genesis: Checkpoint;
  /** The peers of the scenario, by index; without those that churn brings. */
  readonly ids: readonly PeerId[];
}

export interface PeerInit {
  readonly id: PeerId;
  readonly index: number;
  readonly role: Role;
  readonly invitation: Uint8Array | undefined;
  readonly random: Random;
  readonly target: Float32Array;
  /** How it lies; absent for an honest peer. */
  readonly liar: Liar | undefined;
  /** A twin hears and reaches only these peers. */
  readonly reaches: ((index: number) => boolean) | undefined;
}

export interface SimPeer extends PeerInit {
  readonly isHonest: boolean;
  readonly traits: Traits;
  readonly clock: Clock;
  disk: Disk;
  life: Life | undefined;
  /** Effects performed over all lives. */
  effects: number;
  published: number;
  /** Its replica said that the run is over, in this life. */
  hasEnded: boolean;
  /** It will not start again. */
  isGone: boolean;
  /** Nobody hears from it, nor it from anybody, until then; its process stands still until then. */
  aloneUntilMs: number;
  pausedUntilMs: number;
  readonly crashes: Map<number, Extract<Fault, { kind: 'crash' }>>;
  /** How often its disk was put back from a backup, and how many new vote keys it has had. */
  restores: number;
  voteKeys: number;
  /** Whether its engine has a wrong θ and does not know, or had one and went back to an older state. */
  engine: 'sound' | 'faulty' | 'mended';
  /** It has asked to be a member no more. */
  isLeaving: boolean;
  start(): void;
  kill(): void;
  handle(event: ReplicaEvent): void;
}

export function createPeer(init: PeerInit, setting: Setting): SimPeer {
  const { scenario, world, judge, trace, network } = setting;
  const traits = scenario.traits[init.index] ?? {};
  const peer: SimPeer = {
    ...init,
    isHonest: init.liar === undefined,
    traits,
    clock: createClock(world, init.index, traits),
    disk: createDisk(setting.genesis),
    life: undefined,
    effects: 0,
    published: 0,
    hasEnded: false,
    isGone: false,
    aloneUntilMs: 0,
    pausedUntilMs: 0,
    crashes: new Map(),
    restores: 0,
    voteKeys: 0,
    engine: 'sound',
    isLeaving: false,
    start() {
      if (peer.life || peer.isGone) return;
      trace?.note(init.index, 'start');
      setting.mutant?.restart?.(peer.disk);
      peer.life = createLife(peer, setting);
      peer.life.start();
      world.after(joinDelayMs, () => network.join(peer));
    },
    kill() {
      if (!peer.life) return;
      trace?.note(init.index, 'stop');
      if (peer.isHonest) judge.work.lost(peer.life.tokensInWork);
      peer.life.end();
      peer.life = undefined;
      peer.hasEnded = false;
      network.leave(peer);
    },
    handle: (event) => peer.life?.handle(event),
  };
  return peer;
}

/** Connections take so long after a start. */
const joinDelayMs = 5;
