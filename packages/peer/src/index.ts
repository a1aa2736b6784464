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
import type { DeviceChoice, TimeUse } from '@murmuration/engine';
import type { Traffic } from '@murmuration/network';
import type { Checkpoint, Role } from '@murmuration/protocol';
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
export { type LedgerSource, openStoredLedger } from './ledger-source.ts';
export { type OfflineRun, openOffline } from './offline.ts';
export { createPeer } from './peer.ts';
export { type PeerConfig, type PeerConfigInput, parsePeerConfig } from './peer-config.ts';

export { openRemoteLedger, type RemoteLedgerInit } from './remote-ledger.ts';
export type { ReplayedRange } from './replay.ts';
export { lastAddresses, lastStatus, type SavedStatus } from './saved-status.ts';
export { type AuditProgress, type LedgerVerdict, verifyLedger } from './verify-ledger.ts';

export interface PeerInit {
  /** Which run; absent: the one that the folder belongs to. */
  readonly runId?: Cid;
  readonly config: PeerConfigInput;
  /** dag-cbor bytes of an invitation bound to this peer. */
  readonly invitation?: Uint8Array;
  /** A final block that is trusted: the ledger begins there. Only a folder without a ledger heeds it. */
  readonly checkpoint?: Checkpoint;
}

export interface PeerComponents {
  onEvent?(event: PeerEvent): void;
}

export interface PeerStatus {
  readonly peer: PeerId;
  readonly run: string;
  readonly role: Role;
  readonly phase: 'starting' | 'syncing' | 'running' | 'diverged' | 'conflict' | 'ended';
  readonly epoch: number;
  readonly view: number;
  /** Height of the newest final block, and of the newest applied one. */
  readonly round: number;
  readonly head: number;
  readonly rounds: number;
  /** State root of the newest final block, hex. */
  readonly stateRoot: string;
  readonly members: number;
  /** Members that vote in this epoch, and whether this peer is one of them. */
  readonly voters: number;
  readonly votes: boolean;
  /** Members that are connected now, this peer among them if it is one. */
  readonly membersConnected: number;
  readonly connected: number;
  /** Inner steps that this peer's engine has done in all its lives. */
  readonly step: number;
  readonly loss: number | undefined;
  /** What the engine trains on per second, counted in `unit`. */
  readonly tokensPerSecond: number;
  readonly unit: 'tokens' | 'samples';
  /** Where the engine's time went since its first inner step in this process; absent before. */
  readonly time: TimeUse | undefined;
  /** Where the engine trains; absent before it is open. */
  readonly device: DeviceChoice | undefined;
  /** Bytes of all blobs that are no snapshots, and of how many at most old ones stay; `null`: all stay. */
  readonly blobs: { readonly bytes: number; readonly bytesMax: number | null };
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
  | {
      readonly kind: 'retired';
      readonly peer: PeerId;
      readonly epoch: number;
      readonly reason: 'leave' | 'silent' | 'reopened';
    }
  /** What becomes of a recovery that began after this round: see the protocol's report of the same name. */
  | {
      readonly kind: 'recovery';
      readonly state: 'opened' | 'abandoned' | 'adopted' | 'reopened' | 'overtaken';
      readonly opening: Cid;
      readonly listed: readonly PeerId[];
      readonly round: number;
    }
  /** A member contradicted its own signature; it never comes back. */
  | { readonly kind: 'convicted'; readonly peer: PeerId; readonly epoch: number }
  /**
   * This peer may have forgotten what it voted for: its folder may be a copy, or others know votes that it does not.
   */
  | { readonly kind: 'vote-key-renewed'; readonly reason: 'restored' | 'forgotten' }
  | { readonly kind: 'installed'; readonly round: number; readonly bytes: number }
  | { readonly kind: 'expired' }
  | {
      readonly kind: 'diverged';
      readonly round: number;
      /** After the state was taken anew: now the peer stops. */
      readonly again: boolean;
      readonly expected: string;
      readonly computed: string;
    }
  /** Two histories of the run, each certified: this peer chooses none and stops. */
  | {
      readonly kind: 'conflict';
      readonly round: number;
      readonly ours: Cid;
      readonly theirs: Cid;
      readonly from: readonly PeerId[];
    }
  /** A state on its way, from so many peers so far. */
  | {
      readonly kind: 'downloading';
      readonly round: number;
      readonly bytes: number;
      readonly size: number;
      readonly sources: number;
    }
  | { readonly kind: 'engine-restarted'; readonly reason: string }
  | { readonly kind: 'ended'; readonly round: number; readonly stateRoot: string };

export interface Peer {
  readonly id: PeerId;
  addresses(): string[];
  status(): PeerStatus;
  /** Resolves once the run's last round is final here and the peer has lingered for the others. */
  readonly finished: Promise<void>;
  /** Asks the others to be a member no more; the event `retired` says when that is final. It goes on contributing. */
  leave(): void;
  /** Saves everything and stops; safe to call twice. */
  stop(): Promise<void>;
}
