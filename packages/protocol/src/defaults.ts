import { KiB, MiB, second } from '@murmuration/base';

/** A gossip message. Gossipsub carries it to everybody, so it stays small. Part of the wire format. */
export const messageBytesMax: number = 16 * KiB;
/** A proposal without contributions and invitation is shorter; each contribution adds its digest. */
export const proposalBytes: number = 2 * KiB;
export const digestBytes = 34;
/** Statements in one message: a re-broadcast of votes and certificates of several views fits. */
export const statementsMax = 64;
/** Holdings that a presence names, the newest ones. Part of the wire format. */
export const holdsMax = 512;
/** One announcement of a contribution; 256 of them stay far below one blob chunk. */
export const announcementBytesMax = 1_000;
/** The list of contributions of a block is a blob of one chunk. */
export const listBytesMax: number = 256 * KiB;
/** Members of an epoch: a certificate with 128 signatures has 8 KiB and fits into a message. */
export const rosterMax = 128;
/** A ledger entry: header, list and certificate at their largest. */
export const entryBytesMax: number = 320 * KiB;

/** Blocks that may be applied before one of them is final; then proposals carry no contributions. */
export const depthMax = 8;
/** Blocks whose certified norms bound the clip. */
export const normHistory = 16;
/** Deltas of one block together: what a home link can pull within a round. */
export const blockBytesMax: number = 256 * MiB;

/** View timer: growth per view since the last final block, and the longest. */
export const viewTimeoutGrowth = 1.5;
export const viewTimeoutMaxMs: number = 60 * second;
/** Votes for views so far ahead of ours are kept; a certificate may be from any view. */
export const viewsAheadMax = 256;
/** A ready proposer waits so long for a quorum's holdings of every blob that it waited for itself. */
export const proposeGraceMs: number = 1 * second;
/** Before a block that ends an epoch or the run is proposed again: its finalization is usually one message away. */
export const reproposeDelayMs = 300;

/** Holdings that change after we were ready are gathered so long into one message. */
export const holdingsDelayMs = 150;
/** Own statements are sent again so long after the last progress, ×1.5 each time, up to the maximum. */
export const rebroadcastMs: number = 1 * second;
export const rebroadcastGrowth = 1.5;
export const rebroadcastMaxMs: number = 15 * second;
/** After a new connection the own statements follow so soon: gossip needs a moment to graft the peer. */
export const greetDelayMs = 250;
/** At most one answer to peers that lag behind in this time. */
export const assistMs: number = 1 * second;

/** Others that are one block ahead get so long to tell us by gossip before we ask for ledger entries. */
export const syncDelayMs: number = 1 * second;
/** A sync that brought nothing in this time is asked of others. */
export const syncTimeoutMs: number = 10 * second;
/** Who brought nothing is asked again after this long, ×2 each time, up to the maximum. */
export const syncRetryMs: number = 30 * second;
export const syncRetryMaxMs: number = 600 * second;
/** Final blocks that are replayed rather than skipped by fetching a snapshot. */
export const replayMax = 16;
/** After so many failed fetches of one delta a snapshot is taken instead, if there is one. */
export const replayAttempts = 4;
/** Blocks whose deltas are fetched ahead while replaying. */
export const replayAhead = 4;
/** An install that has not ended is asked again after this long, of whoever is ahead by then. */
export const installTimeoutMs: number = 60 * second;
/** A member that hears nobody at its start goes on after this long. */
export const startupMs: number = 3 * second;

/** A blob that could not be had is asked for again after this long, ×2 each time, up to the maximum. */
export const fetchRetryMs: number = 1 * second;
export const fetchRetryMaxMs: number = 30 * second;
/** An execution that the engine could not do is asked for again after this long. */
export const executeRetryMs: number = 2 * second;

/** Contributions kept per author: the pending one, and older ones that an undone block gives back. */
export const contributionsPerAuthorMax = 4;
/** Guests with a contribution in the pool. */
export const guestsMax = 64;
/** Contributions based so far above our head are kept: their base is on its way. */
export const baseAheadMax = 8;
/** Peers of which the last presence is kept, beside the members. */
export const presencesMax = 256;
/** Statements whose signature was found good: repeated ones cost a hash instead. */
export const verifiedMax = 4_096;
/** Statements of the next epoch, kept until ours ends. */
export const deferredMax = 256;
/** Fetched contribution lists kept: one per view under way. */
export const listsMax = 16;
/** Deltas known not to be what their announcement says. */
export const invalidBlobsMax = 1_024;
/** Executions remembered: a few per applied block. */
export const executionsMax = 32;
/** Invitations waiting to be included. */
export const invitationsMax = 16;
/** Own votes, the newest ones, that one re-broadcast carries: three for each of the last views. */
export const votesMax = 24;
/** Certificates of earlier views that one re-broadcast carries. */
export const certificatesMax = 16;
