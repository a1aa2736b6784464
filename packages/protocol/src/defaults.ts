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
/** Voters of an epoch: a certificate with 128 signatures has 8 KiB and fits into a message. */
export const votersMax = 128;
/** Members of a run. The ledger state names each in some 150 bytes. */
export const membersMax = 1_024;
/** Changes of the roster in one block, and their bytes: an invitation with 64 signatures has 10 KiB. */
export const changesMax = 16;
export const changesBytesMax: number = 11 * KiB;
/** A renewal of a vote key: two peer ids and two signatures. Part of the wire format. */
export const rekeyBytesMax = 512;
/** Convicted peers that the ledger names; beyond that a convicted member goes, but may be invited again. */
export const convictedMax = 1_024;
/** Guests of which the ledger state counts certified rounds; who was certified longest ago goes first. */
export const guestsKept = 1_024;
/** A ledger state: 1,024 members and as many guests have some 400 KB. An answer on the ledger protocol carries it. */
export const stateBytesMax: number = 1 * MiB;
/** A ledger entry: header, list and certificate at their largest. */
export const entryBytesMax: number = 320 * KiB;

/** Blocks that may be applied before one of them is final; then proposals carry no contributions. */
export const depthMax = 8;
/** Blocks whose certified norms bound the clip. */
export const normHistory = 16;
/** Deltas of one block together: what a home link can pull within a round. */
export const blockBytesMax: number = 256 * MiB;

/** Members that are waited for get this much more than they took the last time, and at least so long. */
export const graceMargin = 1.5;
export const graceMinMs = 50;
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
/**
 * A quorum and one in so many voters beside say first what they hold; the others this much later, when it still
 * matters: by then what the first said has passed a mesh.
 */
export const spareShare = 4;
export const spareDelayMs = 450;
/** Own statements are sent again so long after the last progress, ×1.5 each time, up to the maximum. */
export const rebroadcastMs: number = 1 * second;
export const rebroadcastGrowth = 1.5;
export const rebroadcastMaxMs: number = 15 * second;
/** In calm times so many voters at a time say where all stand: one may be down, or its message lost. */
export const callersAtOnce = 2;
/** So many where they hold guests' deltas and nobody knows yet: a small run's proposer may hear one voter only. */
export const callersWithNews = 8;
/** Where survivors may open a recovery, a voter says at least so often that it is there; `heardMs` bears one loss. */
export const voterShowsMs: number = 18 * second;
/** After a new connection the own statements follow so soon: gossip needs a moment to graft the peer. */
export const greetDelayMs = 250;
/** Who connected gets its votes once more after this long: the last of them may have come after the greeting. */
export const remindDelayMs: number = 1.25 * second;
/**
 * Who starts again signs nothing for so long after it has met a voter: what it has signed and forgotten comes back by
 * then.
 */
export const listenMs: number = 2 * second;
/**
 * A voter that is none any more repeats for so long what ended its epoch, until the next voters know: a message may be
 * lost, a lid closed for a moment.
 */
export const farewellMs: number = 300 * second;
/** At most one answer to peers that lag behind in this time. */
export const assistMs: number = 1 * second;

/** Others that are one block ahead get so long to tell us by gossip before we ask for ledger entries. */
export const syncDelayMs: number = 1 * second;
/** A sync that brought nothing in this time is asked of others. */
export const syncTimeoutMs: number = 10 * second;
/** A higher claim is a reason to ask at once a peer that failed fewer times in a row. */
export const failuresForgiven = 3;
/** Who brought nothing is asked again after this long, ×2 each time, up to the maximum. */
export const syncRetryMs: number = 30 * second;
export const syncRetryMaxMs: number = 600 * second;
/**
 * Between these numbers of final blocks, what is less to download decides whether they are replayed or a state is
 * taken.
 */
export const replayMin = 8;
export const replayMax = 256;
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
/** Guests that the ledger knows with a contribution in the pool; those with the longest history stay. */
export const guestsMax = 64;
/** Of a block's contributions and bytes, and of the presences, strangers get one in so many. */
export const strangerShare = 10;
/** Strangers whose announcement waits for the draw, the luckiest of those that came: 32 KB. */
export const strangersWaitingMax = 32;
/** Deltas of strangers asked for in one round, together: on a line of 10 Mbit/s 20 s of a round's minute. */
export const strangerBytesMax: number = Math.floor(blockBytesMax / strangerShare);
/** Strangers that announce within this time draw together; so long a lonely one waits for its fetch. */
export const drawMs = 300;
/** Lots remembered within a round. */
export const lotsMax = 1_024;
/**
 * Deltas of one member or guest asked for in one round: one for each head until finality follows, and some given back.
 */
export const deltasPerMemberMax = 16;
/** A guest's delta that could not be had so often is given up until it is announced again; a stranger's at once. */
export const guestAttemptsMax = 3;

/**
 * Signature checks (0.1 ms each) of what anybody may send: at once, and per second. Members and guests have a bucket
 * each: a round costs one contribution and some ten presences, and the fastest rounds take 200 ms. All strangers share
 * one: of 10,000 that announce in one round, in any order, some 220 have a better lot than those that wait already.
 */
export const checksOf = {
  contribution: {
    member: { burst: 64, perSecond: 16 },
    guest: { burst: 16, perSecond: 8 },
    stranger: { burst: 256, perSecond: 16 },
  },
  presence: {
    member: { burst: 256, perSecond: 64 },
    guest: { burst: 32, perSecond: 16 },
    stranger: { burst: 32, perSecond: 8 },
  },
} as const;
/** Buckets kept: both of each member and of each guest in the ledger. */
export const bucketsMax: number = 2 * (membersMax + guestsKept);
/** Contributions based so far above our head are kept: their base is on its way. */
export const baseAheadMax = 8;
/** Peers of which the last presence is kept, beside the members; of strangers a tenth, those heard last. */
export const presencesMax = 256;
/**
 * Presences of one peer at one final block whose holdings add up: when it was ready, and some deltas that came later.
 */
export const presencesCounted = 4;
/** What a peer has said before is passed on again after this long: of a voter it shows in time that it is there. */
export const voterQuietMs: number = 10 * second;
export const otherQuietMs: number = 300 * second;
/** Statements whose signature was found good: repeated ones cost a hash instead. */
export const verifiedMax = 4_096;
/** Statements of the next epoch, kept until ours ends: of all, and their bytes. */
export const deferredMax = 256;
export const deferredBytesMax: number = 512 * KiB;
/** Those of one signer: a proposal and three votes in each of two views. */
export const deferredPerSignerMax = 8;
/** Certificates of the next epoch, which name no single signer. */
export const deferredCertificatesMax = 16;
/** Fetched contribution lists kept: one per view under way. */
export const listsMax = 16;
/** Deltas known not to be what their announcement says. */
export const invalidBlobsMax = 1_024;
/** Executions remembered: a few per applied block. */
export const executionsMax = 32;
/** A newcomer is admitted when it is at most so many final blocks behind. */
export const keepUpBlocks = 1;
/**
 * Blocks from one renewal of a member's vote key to the next. Each ends an epoch, and two live copies of one folder
 * renew in turn: so they cost a small part of the blocks. Who must wait trains on; votes by a new key count in the
 * meantime where the others may be no quorum.
 */
export const rekeyEvery = 16;
/** Changes of the roster that somebody signed and no block has taken yet. */
export const requestsMax = 64;
/** Peers of which evidence is kept: one piece each, some 1.5 KB; more than a run's members at once never lie. */
export const evidenceMax = 1_024;
/** Decided views of which the votes are kept, so that a late vote which conflicts with one of them is noticed. */
export const decidedViewsMax = 8;
/** Votes that one answer gives back to a peer that seems to have forgotten them. */
export const givenBackMax = 12;
/** Own votes, the newest ones, that one re-broadcast carries: three for each of the last views. */
export const votesMax = 24;
/** Certificates of earlier views that one re-broadcast carries. */
export const certificatesMax = 16;

/** A file that shows a peer's share: one of 1,000 epochs of 100 members has about 25 MB. */
export const shareProofBytesMax: number = 64 * MiB;
/** Epochs that it passes. */
export const proofEpochsMax = 65_536;
/** One part of a ledger state inside it: 1,024 members of some 200 bytes, or as many guests. */
export const proofLeafBytesMax: number = 512 * KiB;
/** A run's settings: 64 founders have 4 KB. */
export const runBytesMax: number = 64 * KiB;

/** Voters that an opening may list: with a signature each it fits into a message. */
export const listedMax = 64;
/** In one message, a peer that an opening lists and its signature take one of so many places, its new key two. */
export const openingPlacesMax = 80;
/**
 * How many attempts a voter may skip: those of ten minutes, 10 s each. What somebody claims beyond is not followed.
 */
export const attemptsAhead = 64;
/** Openings at one fork: of ten years, 64 skipped every 10 s. */
export const attemptsMax: number = 2 ** 31;
/** Openings that the ledger state remembers. */
export const recoveriesKept = 64;
/** Blocks of one recovery, which are kept in memory until it ends: two weeks of five-minute rounds. */
export const recoveryBlocksMax = 4_096;
/** Openings at our fork that are kept of each voter that signed them, those of the highest attempts. */
export const openingsMax = 4;
/**
 * Who was not heard for so long is not there: two of the slowest re-broadcasts, and one of their messages may be lost.
 */
export const heardMs: number = 40 * second;
/**
 * Who has not signed an opening by then is left out of the next one. So much later than the one before it each further
 * voter proposes: those with smaller ids may be deaf.
 */
export const openingPatienceMs: number = 10 * second;
/** A stalled peer looks so often whether there is something to open or to join. */
export const stallCheckMs: number = 2 * second;
/** Voters of a recovery that are gone are waited for so long before others adopt what they left. */
export const adoptionPatienceMs: number = 60 * second;
/**
 * A recovery that is given up certifies nothing new, and ends for a peer so much later, when all know the same blocks.
 */
export const partingMs: number = 3 * second;
export const partingMaxMs: number = 20 * second;
export const partingCheckMs = 500;
/** A regular quorum that adopts no recovery for so long goes on without it. */
export const adoptionMaxMs: number = 300 * second;
