/**
 * Changes of the roster. One table, an entry per kind, says how a change is read, when a block may carry it, and what
 * it makes of the ledger state. A block with changes ends the epoch.
 *
 *   admit   founders invited a peer, as a member or as a guest that is known from the start
 *   earned  a guest was in enough certified rounds, and is there (`crash` runs); together they make the roster odd
 *   leave   a member asked to go
 *   silent  a member was in none of the last rounds (`crash` runs)
 *   rekey   a member that may have forgotten what it signed votes by a new key from now on
 *   convict a member signed what an honest one does not sign; it never comes back
 */
import { DigestError, decodeCbor, encodeCbor, type PeerId } from '@murmuration/base';
import type { Rules } from './block-record.ts';
import { changesBytesMax, convictedMax, membersMax, rekeyEvery } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { checkEvidence, type Evidence, parseEvidence } from './evidence.ts';
import { bytesField, type Fields, peerField, readFields, wordField } from './fields.ts';
import { checkInvitation, type Invitation, invitationName, parseInvitation } from './invitation.ts';
import { keepGuests, type LedgerState, memberOf, recentAuthors } from './ledger-state.ts';
import { checkRequest, type LeaveRequest, parseRequest, type RekeyRequest, staleRequest } from './request.ts';
import { mayGrowTo } from './roster.ts';

/** `value` is what the block carries: signed bytes, or the peer where the ledger itself is the proof. */
export type Change =
  | {
      readonly kind: 'admit';
      readonly peer: PeerId;
      readonly value: Uint8Array;
      readonly invitation: Invitation;
    }
  | { readonly kind: 'earned'; readonly peer: PeerId; readonly value: PeerId }
  | {
      readonly kind: 'leave';
      readonly peer: PeerId;
      readonly value: Uint8Array;
      readonly request: LeaveRequest;
    }
  | { readonly kind: 'silent'; readonly peer: PeerId; readonly value: PeerId }
  | {
      readonly kind: 'rekey';
      readonly peer: PeerId;
      readonly value: Uint8Array;
      readonly request: RekeyRequest;
    }
  | {
      readonly kind: 'convict';
      readonly peer: PeerId;
      readonly value: Uint8Array;
      readonly evidence: Evidence;
    };
export type ChangeKind = Change['kind'];
type Of<Kind extends ChangeKind> = Extract<Change, { readonly kind: Kind }>;

interface ChangeRule<Kind extends ChangeKind> {
  /** Reads the value's structure. Throws `ProtocolError`. */
  read(fields: Fields): Of<Kind>;
  /** Why the block of this height may not carry it (now, or any more) after a parent with this state. Cheap. */
  stale(change: Of<Kind>, rules: Rules, state: LedgerState, height: number): string | undefined;
  /** What is wrong with its signatures, whatever the state. */
  forged(change: Of<Kind>, rules: Rules): string | undefined;
  apply(state: LedgerState, change: Of<Kind>, height: number): LedgerState;
}

const bytesOf = (fields: Fields): Uint8Array => bytesField(fields, 'value', 1, changesBytesMax);

/** A member no more: a guest whose rounds count anew. */
const withoutMember = (state: LedgerState, peer: PeerId, height: number): LedgerState => {
  const tokens = memberOf(state, peer)?.tokens ?? 0;
  return {
    ...state,
    members: state.members.filter((member) => member.peer !== peer),
    guests: keepGuests([...state.guests, { peer, rounds: 0, tokens, seen: height, vouched: true }]),
  };
};

/** A member from the block of this height on. */
const withMember = (state: LedgerState, peer: PeerId, height: number): LedgerState => {
  const tokens = state.guests.find((guest) => guest.peer === peer)?.tokens ?? 0;
  const key = { key: peer, renewed: 0, keySince: height };
  const member = { peer, ...key, since: height, contributed: height, voted: -1, tokens };
  return {
    ...state,
    members: [...state.members, member],
    guests: state.guests.filter((guest) => guest.peer !== peer),
  };
};

const withGuest = (state: LedgerState, peer: PeerId, height: number): LedgerState => {
  const others = state.guests.filter((guest) => guest.peer !== peer);
  const { rounds, tokens } = state.guests.find((guest) => guest.peer === peer) ?? { rounds: 0, tokens: 0 };
  const guest = { peer, rounds, tokens, seen: height, vouched: true };
  return { ...state, guests: keepGuests([...others, guest]) };
};

const countUse = (state: LedgerState, invitation: Invitation): LedgerState => {
  const name = invitationName(invitation);
  const uses = state.invitations.find((use) => use.invitation === name)?.uses ?? 0;
  const others = state.invitations.filter((use) => use.invitation !== name);
  const use = { invitation: name, expires: invitation.expires, uses: uses + 1 };
  return { ...state, invitations: [...others, use] };
};

const problemOfNewcomer = (state: LedgerState, peer: PeerId): string | undefined => {
  if (memberOf(state, peer)) return 'block that admits a member';
  if (state.convicted.includes(peer)) return 'block that admits a convicted peer';
  return state.members.length >= membersMax ? `block that admits to ${membersMax} members` : undefined;
};

const admit: ChangeRule<'admit'> = {
  read(fields) {
    const value = bytesOf(fields);
    const invitation = parseInvitation(value);
    return { kind: 'admit', peer: invitation.guest, value, invitation };
  },
  stale({ invitation, peer }, _, state, height) {
    if (height > invitation.expires) return 'block with an expired invitation';
    const name = invitationName(invitation);
    const uses = state.invitations.find((use) => use.invitation === name)?.uses ?? 0;
    if (uses >= invitation.uses) return 'block with a used invitation';
    return problemOfNewcomer(state, peer);
  },
  forged: ({ invitation }, { run, runId, verify }) => checkInvitation(invitation, run, runId, verify),
  apply(state, { invitation, peer }, height) {
    const used = countUse(state, invitation);
    return invitation.role === 'member' ? withMember(used, peer, height) : withGuest(used, peer, height);
  },
};

const earned: ChangeRule<'earned'> = {
  read(fields) {
    const peer = peerField(fields, 'value');
    return { kind: 'earned', peer, value: peer };
  },
  stale({ peer }, { run }, state) {
    const { earnedAfter } = run.membership;
    const rounds = state.guests.find((guest) => guest.peer === peer)?.rounds ?? 0;
    if (earnedAfter === 0 || rounds < earnedAfter) return `block that admits a guest of ${rounds} rounds`;
    return recentAuthors(state).has(peer)
      ? problemOfNewcomer(state, peer)
      : 'block that admits a guest that was in none of the last blocks';
  },
  forged: () => undefined,
  apply: (state, { peer }, height) => withMember(state, peer, height),
};

const leave: ChangeRule<'leave'> = {
  read(fields) {
    const value = bytesOf(fields);
    const request = parseRequest(value);
    if (request.kind !== 'leave')
      throw new ProtocolError(`change: expected a wish to leave, got ${request.kind}`, {
        code: 'bad-message',
      });
    return { kind: 'leave', peer: request.peer, value, request };
  },
  stale: ({ request }, _, state) => staleRequest(request, state),
  forged: ({ request }, rules) => checkRequest(request, rules),
  apply: (state, { peer }, height) => withoutMember(state, peer, height),
};

const silent: ChangeRule<'silent'> = {
  read(fields) {
    const peer = peerField(fields, 'value');
    return { kind: 'silent', peer, value: peer };
  },
  stale({ peer }, { run }, state, height) {
    const { silentAfter } = run.membership;
    const member = memberOf(state, peer);
    if (!member) return 'block that retires somebody who is no member';
    return silentAfter === 0 || height - member.contributed <= silentAfter
      ? `block that retires a member of round ${member.contributed} for silence`
      : undefined;
  },
  forged: () => undefined,
  apply: (state, { peer }, height) => withoutMember(state, peer, height),
};

const rekey: ChangeRule<'rekey'> = {
  read(fields) {
    const value = bytesOf(fields);
    const request = parseRequest(value);
    if (request.kind !== 'rekey')
      throw new ProtocolError(`change: expected a new key, got ${request.kind}`, { code: 'bad-message' });
    return { kind: 'rekey', peer: request.peer, value, request };
  },
  stale: ({ request }, _, state) => staleRequest(request, state),
  forged: ({ request }, rules) => checkRequest(request, rules),
  apply: (state, { request: { peer, key, renewed } }, height) => ({
    ...state,
    members: state.members.map((member) =>
      member.peer === peer ? { ...member, key, renewed, keySince: height } : member,
    ),
  }),
};

const convict: ChangeRule<'convict'> = {
  read(fields) {
    const value = bytesOf(fields);
    const evidence = parseEvidence(value);
    return { kind: 'convict', peer: evidence.peer, value, evidence };
  },
  stale: ({ peer }, _, state) =>
    memberOf(state, peer) ? undefined : 'block that convicts somebody who is no member',
  forged: ({ evidence }, rules) => checkEvidence(evidence, rules),
  apply(state, { peer }, height) {
    const { convicted } = state;
    const isFull = convicted.length >= convictedMax;
    return {
      ...withoutMember(state, peer, height),
      convicted: isFull ? convicted : [...convicted, peer].sort(),
    };
  },
};

const changeRules: { readonly [Kind in ChangeKind]: ChangeRule<Kind> } = {
  admit,
  earned,
  leave,
  silent,
  rekey,
  convict,
};
const kinds = Object.keys(changeRules) as readonly ChangeKind[];
const ruleOf = (change: Change): ChangeRule<ChangeKind> => changeRules[change.kind] as ChangeRule<ChangeKind>;

export const encodeChange = ({ kind, value }: Change): Uint8Array => encodeCbor({ kind, value });

/** Reads a change's structure. Throws `ProtocolError`. */
export function decodeChange(bytes: Uint8Array): Change {
  try {
    const fields = readFields(decodeCbor(bytes), 'change', ['kind', 'value']);
    return changeRules[wordField(fields, 'kind', kinds)].read(fields);
  } catch (cause) {
    if (!(cause instanceof DigestError)) throw cause;
    throw new ProtocolError(`change: ${cause.message}`, { code: 'bad-message' }, { cause });
  }
}

/** Why the block of this height may not carry a change, now or any more; its signatures are not looked at. */
export const staleChange = (
  change: Change,
  rules: Rules,
  state: LedgerState,
  height: number,
): string | undefined => ruleOf(change).stale(change as never, rules, state, height);

/** What is wrong with a change's signatures. */
export const forgedChange = (change: Change, rules: Rules): string | undefined =>
  ruleOf(change).forged(change as never, rules);

export const applyChange = (state: LedgerState, change: Change, height: number): LedgerState =>
  ruleOf(change).apply(state, change as never, height);

/** Why a change that may wait must still wait: a member renews its key once in so many blocks. */
function earlyChange({ kind, peer }: Change, state: LedgerState, height: number): string | undefined {
  const member = memberOf(state, peer);
  const isEarly = kind === 'rekey' && member && member.renewed > 0 && height < member.keySince + rekeyEvery;
  return isEarly
    ? `block that renews a key of round ${member.keySince}, expected ${rekeyEvery} blocks between renewals`
    : undefined;
}

/** Why the block of this height may not change the roster like this. */
export function checkChanges(
  changes: readonly Change[],
  rules: Rules,
  state: LedgerState,
  height: number,
): string | undefined {
  const bytes = changes.reduce((sum, change) => sum + encodeChange(change).length, 0);
  if (bytes > changesBytesMax)
    return `block with ${bytes} bytes of changes, expected at most ${changesBytesMax}`;
  if (changes.some(({ peer }, index) => index > 0 && peer <= (changes[index - 1]?.peer ?? '')))
    return 'block with unsorted changes';
  for (const change of changes) {
    const problem =
      staleChange(change, rules, state, height) ??
      earlyChange(change, state, height) ??
      forgedChange(change, rules);
    if (problem) return problem;
  }
  const left = changes.reduce((current, change) => applyChange(current, change, height), state);
  const { length } = left.members;
  if (length === 0) return 'block that leaves no member';
  return changes.some(({ kind }) => kind === 'earned') && !mayGrowTo(length, rules.run.membership.votersMax)
    ? `block with which guests earn a roster of ${length}`
    : undefined;
}
