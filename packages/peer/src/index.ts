/**
 * One peer of a run: wires store, network, engine and replica together, performs the replica's effects, trains, and
 * tells what happens as status events.
 *
 * @example
 * const peer = await createPeer({ runId, config: { directory: 'my-run', data: ['texts'] } }, { onEvent: console.log });
 * await peer.finished;
 * await peer.stop();
 */
import type { Cid, PeerId } from '@murmuration/base';
import type { DeviceChoice } from '@murmuration/engine';
import type { Traffic } from '@murmuration/network';
import type { Role } from '@murmuration/protocol';
import type { RunPart } from './fetch-run.ts';
import type { PeerConfigInput } from './peer-config.ts';

export {
  type CreatedRun,
  createRun,
  freshNonce,
  type RunModel,
  type RunOptions,
  storeRun,
  textModel,
} from './create-run.ts';
export { PeerError } from './errors.ts';
export type { RunPart } from './fetch-run.ts';
export { type OfflineRun, openOffline } from './offline.ts';
export { createPeer } from './peer.ts';
export { type PeerConfig, type PeerConfigInput, parsePeerConfig } from './peer-config.ts';

export { lastStatus, type SavedStatus } from './saved-status.ts';

export interface PeerInit {
  /** Which run; absent: the one that the folder belongs to. */
  readonly runId?: Cid;
  readonly config: PeerConfigInput;
  /** dag-cbor bytes of an invitation bound to this peer. */
  readonly invitation?: Uint8Array;
}

export interface PeerComponents {
  onEvent?(event: PeerEvent): void;
}

export interface PeerStatus {
  readonly peer: PeerId;
  readonly run: string;
  readonly role: Role;
  readonly phase: 'starting' | 'syncing' | 'running' | 'diverged' | 'ended';
  readonly epoch: number;
  readonly view: number;
  /** Height of the newest final block, and of the newest applied one. */
  readonly round: number;
  readonly head: number;
  readonly rounds: number;
  /** State root of the newest final block, hex. */
  readonly stateRoot: string;
  readonly members: number;
  /** Members that are connected now, this peer among them if it is one. */
  readonly membersConnected: number;
  readonly connected: number;
  /** Inner steps that this peer's engine has done in all its lives. */
  readonly step: number;
  readonly loss: number | undefined;
  /** What the engine trains on per second, counted in `unit`. */
  readonly tokensPerSecond: number;
  readonly unit: 'tokens' | 'samples';
  /** Where the engine trains; absent before it is open. */
  readonly device: DeviceChoice | undefined;
  readonly traffic: Traffic;
  /** Event-loop delay of this process since its engine started, 99th percentile, ms. */
  readonly loopDelayP99Ms: number;
  /** Resident memory, bytes: this process, and its engine's. */
  readonly memory: { readonly peer: number; readonly engine: number };
}

export type PeerEvent =
  | {
      readonly kind: 'listening';
      readonly peer: PeerId;
      readonly runId: Cid;
      readonly addresses: readonly string[];
    }
  | { readonly kind: 'waiting'; readonly for: RunPart }
  | {
      readonly kind: 'opened';
      readonly head: number;
      readonly parameters: number;
      readonly restored: boolean;
      /** Where inner steps run, and why there. */
      readonly device: DeviceChoice;
    }
  | { readonly kind: 'status'; readonly status: PeerStatus }
  | { readonly kind: 'connected' | 'disconnected'; readonly peer: PeerId }
  | {
      readonly kind: 'contributed';
      readonly round: number;
      readonly bytes: number;
      readonly steps: number;
      readonly loss: number;
    }
  | {
      readonly kind: 'certified';
      readonly round: number;
      readonly authors: readonly PeerId[];
      readonly stateRoot: string;
      readonly own: boolean;
    }
  | { readonly kind: 'skipped'; readonly view: number }
  | { readonly kind: 'admitted'; readonly peer: PeerId; readonly epoch: number }
  | { readonly kind: 'installed'; readonly round: number; readonly bytes: number }
  | { readonly kind: 'expired' }
  | {
      readonly kind: 'diverged';
      readonly round: number;
      readonly expected: string;
      readonly computed: string;
    }
  | { readonly kind: 'engine-restarted'; readonly reason: string }
  | { readonly kind: 'ended'; readonly round: number; readonly stateRoot: string };

export interface Peer {
  readonly id: PeerId;
  addresses(): string[];
  status(): PeerStatus;
  /** Resolves once the run's last round is final here and the peer has lingered for the others. */
  readonly finished: Promise<void>;
  /** Saves everything and stops; safe to call twice. */
  stop(): Promise<void>;
}
