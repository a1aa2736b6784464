import { GiB, KiB, MiB, minute, second } from '@murmuration/base';
import type { FetchPriority } from '@murmuration/protocol';

export const defaults = {
  /** All interfaces, any free port. */
  listen: ['/ip4/0.0.0.0/tcp/0'] as readonly string[],
  /** Half of the cores: the other half stays with whoever owns the machine, and with the network side. */
  threads: Math.max(1, Math.floor(navigator.hardwareConcurrency / 2)),
  /** What the machine has, if it works; trying takes about a second where there is a graphics device. */
  device: 'auto',
  /** The engine's lower priority: a laptop stays usable, the network side stays prompt. */
  niceness: 10,
  /** Room for some thousand deltas of a small model, or some dozens of a large one. */
  blobBytesMax: 4 * GiB,
} as const;

export const statusEveryMs: number = 1 * second;
/** How old the engine's memory in a status may be; asking takes the engine from training for a moment. */
export const engineMemoryEveryMs: number = 5 * second;
/** How old `murmur status` may be; each save waits for the disk. */
export const saveStatusEveryMs: number = 5 * second;
/** Addresses change rarely; a crash loses at most this much of what was learned. */
export const saveAddressesEveryMs: number = 30 * second;
/** The settings of a run are a few hundred bytes; a long list of founders a few thousand. */
export const runConfigBytesMax: number = 64 * KiB;
/** A forward graph without weights; GPT-2's is about 300 kB. */
export const graphBytesMax: number = 16 * MiB;
/** Weights from a file, in one piece in memory while they are checked: half a billion values. */
export const weightsBytesMax: number = 2 * GiB;
/** One blob that nobody serves is asked for again after this long, growing to the maximum. */
export const fetchRetryMs: number = 100;
export const fetchRetryMaxMs: number = 3 * second;
/** A blob that no peer has served after this long is given up; the replica asks again if it still wants it. */
export const fetchGiveUpMs: Readonly<Record<FetchPriority, number>> = {
  first: 2 * minute,
  // 1 MB at 0.3 Mbit/s.
  guest: 30 * second,
  // 1 MB at 0.4 Mbit/s; the contribution may come again in the next round.
  stranger: 20 * second,
};
/** Fetches under way at once: bounds memory to this many blobs. Half of them only for what goes first. */
export const fetchesMax = 32;
export const fetchPlaces: Readonly<Record<FetchPriority, number>> = {
  first: fetchesMax,
  guest: 12,
  stranger: 4,
};
/** Strangers' fetches beside one that goes first: they may take that much of the line from it. */
export const busyStrangersMax = 1;
/** Fetches that wait for a place. */
export const fetchesWaitingMax = 1_024;
/** An execution waits so long for deltas that have vanished from the disk; then the replica decides anew. */
export const executeLoadMaxMs: number = 30 * second;
/** The engine's changes wait so long for a delta that has vanished from the disk; then a snapshot takes their place. */
export const applyLoadMaxMs: number = 2 * minute;
/** How often a download tells how far it is. */
export const progressEveryMs: number = 1 * second;
/** After a checkpoint so many entries are asked for, at least one of which has a certificate. */
export const checkpointEntries = 16;
export const checkpointRetryMs: number = 1 * second;
/** A checkpoint that some peer contradicts and nobody has is wrong after this long. */
export const checkpointPatienceMs: number = 10 * second;
/** Ledger entries asked for in one request. */
export const syncEntriesMax = 256;
/** A newcomer's moments settle during this many rounds' worth of inner steps before its first contribution. */
export const newcomerWarmupRounds = 2;
/** Orders to train that the engine holds at once: the second begins without waiting for word that the first is done. */
export const trainCallsMax = 2;
/** Inner steps of one order while a delta is being certified: each answer costs time, and tells when the next is due. */
export const stepsPerOrder = 2;
/** A delta has this share of a round's training to go up the line; the rest is for votes, and for what others say. */
export const uplinkShare = 0.5;
/** Shorter rounds wait for answers rather than for bytes: fewer values would not end them sooner. */
export const shortRoundMs: number = 1 * second;
/** k rises when it may be so many times as large: estimates of a line differ by less from round to round. */
export const densityRise = 1.5;
/** Events waiting for the replica; gossip beyond that is ignored. */
export const eventsMax = 4_096;
/** After the last round a peer stays this long for those who are behind. */
export const lingerMs: number = 30 * second;
/** An engine that dies more often in a row has a cause that a restart does not cure. */
export const engineRestartsMax = 5;
/** After this long without a failure the count of restarts begins anew. */
export const engineSteadyMs: number = 10 * minute;
/** An auditor waits so long for somebody who keeps the ledger: two walks through the DHT and a dial. */
export const auditConnectMs: number = 30 * second;
/**
 * Two copies of a folder that run at once take the vote from each other: the pause before another key, growing up to a
 * maximum.
 */
export const renewVoteKeyMs: number = 1 * second;
export const renewVoteKeyGrowth = 4;
export const renewVoteKeyMaxMs: number = 10 * minute;
/** Blocks whose deltas an auditor fetches ahead: several round trips at once, and at most so many blocks in memory. */
export const auditAhead = 4;
/** Openings of an audited ledger that its verdict names: as many as the ledger's state does. */
export const openingsMax = 64;
