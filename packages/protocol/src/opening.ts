/**
 * An opening: some peers declare that an epoch which stalled is gone on with by those whom they list, from a final
 * block, the fork. Survivors of a `crash` run list themselves, and all of them sign: what they certify is provisional.
 * A founder quorum lists whom it trusts: the epoch that it opens is regular, and the ledger shows it as a reset of
 * trust.
 *
 * Who was restored from a backup votes by a new key. The opening carries the renewals of those listed that the ledger
 * has not taken, each signed by its own peer: in the epoch that it opens their votes count like any others.
 *
 * Bytes: dag-cbor of `{ attempt, authority, epoch, fork, height, listed, opened, rekeys, run, signatures }`; `listed`,
 * `rekeys` and `signatures` are sorted by peer. Its name is the CID of the same without signatures.
 *
 * @example
 * let bytes = createOpening({ runId, fork, height: 812, epoch: 3, opened, attempt: 0, listed, authority: 'founders' });
 * bytes = signOpening(bytes, founder, (message) => identity.sign(message));
 */
import {
  type Cid,
  cidOfDigest,
  decodeCbor,
  encodeCbor,
  type PeerId,
  type RunConfig,
  runDigest,
  sha256,
} from '@murmuration/base';
import { equals } from 'uint8arrays/equals';
import type { BlockRecord, Rules } from './block-record.ts';
import { attemptsMax, listedMax, openingPlacesMax, recoveriesKept } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import {
  areRising,
  bytesField,
  bytesListField,
  cidField,
  integerField,
  peerField,
  readFields,
  reading,
  signaturesField,
  wordField,
} from './fields.ts';
import type { BlockId } from './index.ts';
import { type LedgerState, type Member, memberOf, openEpoch } from './ledger-state.ts';
import { checkRequest, parseRekey, type RekeyRequest, staleRequest } from './request.ts';
import { signedBytes } from './signing.ts';
import type { EpochId } from './vote.ts';

export type OpeningAuthority = 'survivors' | 'founders';

/** What the signers declare. */
export interface OpeningTerms extends EpochId {
  readonly runId: Cid;
  /** The newest final block of the epoch that stalled, and its height. */
  readonly fork: BlockId;
  readonly height: number;
  /** Rises with every opening that its signers could not complete, or whose listed peers went away. */
  readonly attempt: number;
  /** Who votes from now on. */
  readonly listed: readonly PeerId[];
  /** Renewals of vote keys that listed peers have signed and the ledger has not taken, as `view.rekeys` has them. */
  readonly rekeys?: readonly Uint8Array[];
  readonly authority: OpeningAuthority;
}

export interface Opening extends Omit<OpeningTerms, 'runId' | 'rekeys'> {
  /** Sorted by peer: from now on the votes of these peers count by their new keys. */
  readonly rekeys: readonly RekeyRequest[];
  /** Digest of the run's id. */
  readonly run: Uint8Array;
  readonly signatures: readonly { readonly peer: PeerId; readonly signature: Uint8Array }[];
}

const authorities = ['survivors', 'founders'] as const;
const signersMax = 64;

const termsOf = ({ signatures: _, rekeys, ...terms }: Opening) => ({
  ...terms,
  rekeys: rekeys.map(({ bytes }) => bytes),
});

export const encodeOpening = (opening: Opening): Uint8Array =>
  encodeCbor({
    ...termsOf(opening),
    signatures: opening.signatures.map(({ peer, signature }) => ({ peer, signature })),
  });

const termsBytes = (opening: Opening): Uint8Array => signedBytes('opening', termsOf(opening));

/** CID of the terms: what names the epoch that it opens. */
export const openingName = (opening: Opening): Cid => cidOfDigest(sha256(termsBytes(opening)), 'dag-cbor');

/** An opening that nobody has signed yet. Renewals of peers that are not listed are left out. */
export function createOpening({ runId, listed, rekeys = [], ...terms }: OpeningTerms): Uint8Array {
  const renewals = rekeys.map(parseRekey).filter(({ peer }) => listed.includes(peer));
  const byPeer = new Map(renewals.map((rekey) => [rekey.peer, rekey]));
  return encodeOpening({
    run: runDigest(runId),
    ...terms,
    listed: [...new Set(listed)].sort(),
    rekeys: [...byPeer.values()].sort((a, b) => (a.peer < b.peer ? -1 : 1)),
    signatures: [],
  });
}

/** Whether an opening with so many listed peers and renewals, and a signature of each, fits into a message. */
export const fitsOpening = (listed: number, rekeys: number): boolean =>
  listed <= listedMax && listed + 2 * rekeys <= openingPlacesMax;

/** The same opening with this signature added (or replaced). Throws `ProtocolError` `bad-opening`. */
export function signOpening(
  bytes: Uint8Array,
  peer: PeerId,
  sign: (message: Uint8Array) => Uint8Array,
): Uint8Array {
  const opening = parseOpening(bytes);
  return encodeOpening(mergeSignatures(opening, [{ peer, signature: sign(termsBytes(opening)) }]));
}

/** The opening with more signatures; for one peer the first counts. */
export function mergeSignatures(opening: Opening, more: Opening['signatures']): Opening {
  const byPeer = new Map([...more, ...opening.signatures].map((entry) => [entry.peer, entry]));
  return { ...opening, signatures: [...byPeer.values()].sort((a, b) => (a.peer < b.peer ? -1 : 1)) };
}

/** Reads an opening's structure; nothing is verified. Throws `ProtocolError` `bad-opening`. */
export const parseOpening = (bytes: Uint8Array): Opening =>
  reading('opening', 'bad-opening', () => readOpening(decodeCbor(bytes)));

const openingKeys = [
  'run',
  'epoch',
  'opened',
  'fork',
  'height',
  'attempt',
  'listed',
  'rekeys',
  'authority',
  'signatures',
];

function readOpening(value: unknown): Opening {
  const fields = readFields(value, 'opening', openingKeys);
  const { listed } = fields.values;
  if (!Array.isArray(listed) || listed.length === 0 || listed.length > listedMax)
    throw new ProtocolError(`opening.listed: expected 1 to ${listedMax} peers`, { code: 'bad-opening' });
  const opening: Opening = {
    run: bytesField(fields, 'run', 32),
    epoch: integerField(fields, 'epoch', 0, 2 ** 31),
    opened: cidField(fields, 'opened'),
    fork: cidField(fields, 'fork'),
    height: integerField(fields, 'height', 0, 2 ** 31),
    attempt: integerField(fields, 'attempt', 0, attemptsMax),
    listed: listed.map((peer: unknown) =>
      peerField({ where: 'opening', values: { listed: peer } }, 'listed'),
    ),
    rekeys: bytesListField(fields, 'rekeys', listed.length).map(parseRekey),
    authority: wordField(fields, 'authority', authorities),
    signatures: signaturesField(fields, 'peer', signersMax),
  };
  if (!areRising(opening.listed))
    throw new ProtocolError('opening.listed: expected different peers, sorted', { code: 'bad-opening' });
  const renewed = opening.rekeys.map(({ peer }) => peer);
  if (!areRising(renewed) || renewed.some((peer) => !opening.listed.includes(peer)))
    throw new ProtocolError('opening.rekeys: expected new keys of different listed peers, sorted', {
      code: 'bad-opening',
    });
  if (!fitsOpening(opening.listed.length, renewed.length))
    throw new ProtocolError(
      `opening: expected listed peers and twice the new keys to be ${openingPlacesMax} at most, got ${opening.listed.length} and ${renewed.length}`,
      { code: 'bad-opening' },
    );
  return opening;
}

/** How many founders must sign an opening: more than two thirds of them. */
export const foundersNeeded = ({ founders }: Pick<RunConfig, 'founders'>): number =>
  Math.floor((2 * founders.length) / 3) + 1;

/** How many signatures an opening still lacks; 0: it is complete. */
export const signaturesMissing = (opening: Opening, run: RunConfig): number =>
  Math.max(
    0,
    (opening.authority === 'founders' ? foundersNeeded(run) : opening.listed.length) -
      opening.signatures.length,
  );

/** What is wrong with an opening's terms or signatures, whatever the chain; it need not be complete. */
export function forgedOpening(
  opening: Opening,
  rules: Pick<Rules, 'run' | 'runDigest' | 'verify'>,
): string | undefined {
  const { run, runDigest: digest, verify } = rules;
  const { authority, listed, rekeys, signatures } = opening;
  if (!equals(opening.run, digest)) return 'opening of another run';
  if (authority === 'survivors' && (run.quorum !== 'crash' || run.membership.stallMs === 0))
    return 'opening by survivors in a run that has none';
  if (authority === 'survivors' && listed.length < 2) return 'opening by a single survivor';
  const signers = authority === 'founders' ? run.founders : listed;
  if (signatures.some(({ peer }) => !signers.includes(peer))) return 'opening signed by nobody whom it needs';
  for (const rekey of rekeys) {
    const problem = checkRequest(rekey, rules);
    if (problem) return `opening with a ${problem}`;
  }
  const message = termsBytes(opening);
  return signatures.every(({ peer, signature }) => verify(peer, message, signature))
    ? undefined
    : 'opening with a wrong signature';
}

/** Why an opening does not go on from this final block, or `undefined` when it does. */
export function misplacedOpening(opening: Opening, fork: BlockRecord): string | undefined {
  const { next, state, block } = fork;
  if (opening.fork !== block.id || opening.height !== block.height)
    return `opening at height ${opening.height}, expected one at ${block.height}`;
  if (opening.epoch !== next.epoch || opening.opened !== next.opened) return 'opening of another epoch';
  const entitled = (peer: PeerId): boolean =>
    opening.authority === 'founders' ? memberOf(state, peer) !== undefined : state.voters.includes(peer);
  if (!opening.listed.every(entitled)) return 'opening that lists somebody who may not vote';
  return staleRekeyIn(opening, state);
}

/** Why a renewal in an opening does not follow the key that these members have. */
export function staleRekeyIn({ rekeys }: Opening, state: Pick<LedgerState, 'members'>): string | undefined {
  const stale = rekeys.map((rekey) => staleRequest(rekey, state)).find((problem) => problem !== undefined);
  return stale && `opening with a ${stale}`;
}

/** Members as the renewals in an opening make them. */
export function rekeyed(members: readonly Member[], { rekeys, height }: Opening): readonly Member[] {
  const renewals = new Map(rekeys.map((rekey) => [rekey.peer, rekey]));
  return members.map((member) => {
    const { key, renewed } = renewals.get(member.peer) ?? {};
    return key === undefined || renewed === undefined
      ? member
      : { ...member, key, renewed, keySince: height };
  });
}

/** Whether survivors of `a` are to be preferred: more of them, then the smaller name. */
export const isPreferred = (a: Opening, b: Opening): boolean =>
  a.listed.length === b.listed.length ? openingName(a) < openingName(b) : a.listed.length > b.listed.length;

/** Founders keep whom they list and make guests of the others; survivors only vote without them. */
function stateAfter(run: RunConfig, state: LedgerState, opening: Opening): LedgerState {
  const { authority, listed, height } = opening;
  const recovery = { opening: openingName(opening), height, authority };
  const members = rekeyed(state.members, opening);
  const opened: LedgerState = {
    ...state,
    members,
    epoch: state.epoch + 1,
    recoveries: [...state.recoveries, recovery].slice(-recoveriesKept),
  };
  if (authority === 'survivors') return { ...opened, voters: listed };
  const left = state.members.filter(({ peer }) => !listed.includes(peer));
  const guests = left.map(({ peer, tokens }) => ({ peer, rounds: 0, tokens, seen: height, vouched: false }));
  return openEpoch(run, {
    ...opened,
    members: members.filter(({ peer }) => listed.includes(peer)),
    guests: [...state.guests, ...guests],
  });
}

/** The fork as the first block after it: the same block, another epoch. The opening was checked. */
export function openedRecord(rules: Pick<Rules, 'run'>, fork: BlockRecord, opening: Opening): BlockRecord {
  const state = stateAfter(rules.run, fork.state, opening);
  return {
    ...fork,
    state,
    next: { epoch: state.epoch, opened: openingName(opening) },
    terminal: false,
    opening,
    fork: opening.authority === 'survivors' ? fork : undefined,
  };
}

/**
 * The block that an entry stands on: its parent, or the same block as the entry's opening makes it; why there is none.
 */
export const parentOf = (
  rules: Rules,
  parent: BlockRecord,
  { opening, header }: { readonly opening: Opening | undefined; readonly header: { readonly epoch: number } },
): BlockRecord | string =>
  opening && header.epoch !== parent.next.epoch ? reopened(rules, parent, opening) : parent;

/** The fork that an entry's opening makes of its parent, or why there is none. */
export function reopened(rules: Rules, fork: BlockRecord, opening: Opening): BlockRecord | string {
  const missing = signaturesMissing(opening, rules.run);
  return (
    misplacedOpening(opening, fork) ??
    (missing > 0 ? `opening that lacks ${missing} signatures` : forgedOpening(opening, rules)) ??
    openedRecord(rules, fork, opening)
  );
}
