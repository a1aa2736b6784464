/** What this peer signs. Every signature is durable before it is sent, and sent again as the same bytes. */
import { assert, decodeCbor, encodeCbor } from '@murmuration/base';
import { type BlockRecord, encodeList } from './block-record.ts';
import { derived } from './counted-map.ts';
import { contributionsPerAuthorMax } from './defaults.ts';
import type { BlockId, ContributionDraft, DurableRecord } from './index.ts';
import { memberOf } from './ledger-state.ts';
import { epochIdOf, epochOf, type Machine, tipOf } from './machine.ts';
import { encodeLeave, encodeRekey, parseRekey, type RekeyRequest } from './request.ts';
import {
  contributionBody,
  decodeStatement,
  encodeProposal,
  encodeSigned,
  type Presence,
  type Proposal,
  presenceBody,
  withRekey,
} from './statement.ts';
import { type Choice, type Vote, voteBody } from './vote.ts';
import { ownVoteKey } from './vote-key.ts';

const sign = (machine: Machine) => (bytes: Uint8Array) => machine.components.sign(bytes);

/** A record of a height that no final block reaches, so that it is never forgotten. */
const forever = (machine: Machine): number => machine.rules.run.rounds + 1;

const persist = (machine: Machine, key: string, height: number, bytes: Uint8Array): void => {
  machine.out.persist.push({ kind: 'persist', record: { key, height, bytes } });
};

/** A record that is never forgotten. */
export const keepForever = (machine: Machine, key: string, bytes: Uint8Array): void =>
  persist(machine, key, forever(machine), bytes);

/** The own vote of a kind in a view of this epoch, as it was sent. */
export const ownVote = (machine: Machine, view: number, choice: Choice): Uint8Array | undefined =>
  machine.own.votes.get(`${epochOf(machine)}/${view}/${choice}`);

/** The own proposal of a view of this epoch, as it was sent. */
export const ownProposal = (machine: Machine, view: number): Uint8Array | undefined =>
  machine.own.proposals.get(`${epochOf(machine)}/${view}`)?.bytes;

const excluded: { readonly [Each in Choice]: readonly Choice[] } = {
  notarize: ['notarize'],
  skip: ['skip', 'finalize'],
  finalize: ['finalize', 'skip'],
};

function assertNew(machine: Machine, choice: Choice, view: number): void {
  for (const other of excluded[choice])
    assert(!ownVote(machine, view, other), 'G8: a vote contradicts nothing that was signed');
}

/** Signs a vote that the rules allow; the caller counts it. */
export function signVote(
  machine: Machine,
  choice: Choice,
  view: number,
  block: BlockId | undefined,
): { readonly vote: Vote; readonly signature: Uint8Array; readonly rekey: RekeyRequest | undefined } {
  assertNew(machine, choice, view);
  const root = block === undefined ? undefined : machine.records.get(block)?.root;
  assert(
    choice !== 'notarize' || machine.dormant !== undefined || root === 'equal',
    'G2: a vote is for a root that we have computed',
  );
  const id = epochIdOf(machine);
  const vote: Vote = { ...id, view, choice, block, voter: machine.init.self };
  const signed = encodeSigned('vote', voteBody(machine.rules.runDigest, vote), ownVoteKey(machine).sign);
  const rekey = ownRekey(machine);
  const bytes = withRekey(signed, rekey);
  const key = `${id.epoch}/${view}/${choice}`;
  machine.own.votes.set(key, bytes);
  persist(machine, `vote/${key}`, machine.settled.block.height + 1, bytes);
  machine.out.statements.push(bytes);
  const statement = decodeStatement(bytes, machine.rules.hash);
  return { vote, signature: (statement as { signature: Uint8Array }).signature, rekey };
}

/** Signs the only proposal of a view. */
export function signProposal(
  machine: Machine,
  proposal: Omit<Proposal, 'header'>,
  list: Uint8Array,
): Uint8Array {
  assert(!ownProposal(machine, proposal.view), 'G8: a proposal is the only one of its view');
  const signed = encodeProposal(machine.rules.runDigest, proposal, {
    hash: machine.rules.hash,
    sign: ownVoteKey(machine).sign,
  });
  const bytes = withRekey(signed, ownRekey(machine));
  const key = `${proposal.epoch}/${proposal.view}`;
  machine.own.proposals.set(key, { bytes, list });
  persist(machine, `proposal/${key}`, machine.settled.block.height + 1, encodeCbor([bytes, list]));
  machine.out.statements.push(bytes);
  return bytes;
}

/** What we notarize may be needed when its proposer is gone: it is durable before the vote. */
export function keepProposal(machine: Machine, view: number): void {
  const slot = machine.views.get(view)?.proposal;
  if (!slot?.record) return;
  const { epoch, proposer } = slot.proposal;
  if (proposer === machine.init.self) return;
  const list = encodeList(slot.record.announcements);
  persist(
    machine,
    `notarized/${epoch}/${view}`,
    machine.settled.block.height + 1,
    encodeCbor([slot.bytes, list]),
  );
}

/** Signs the announcement of a new delta. */
export function signContribution(machine: Machine, draft: ContributionDraft): Uint8Array {
  const sequence = machine.own.sequence + 1;
  const body = contributionBody(machine.rules.runDigest, machine.init.self, sequence, draft);
  const bytes = encodeSigned('contribution', body, sign(machine));
  machine.own.sequence = sequence;
  persist(machine, `contribution/${sequence % contributionsPerAuthorMax}`, forever(machine), bytes);
  machine.out.statements.push(bytes);
  return bytes;
}

/**
 * Begins a life whose presences come after those of all lives before it: by the record, and where that was put back, by
 * the clock.
 */
export function beginLife(machine: Machine, records: readonly DurableRecord[]): void {
  const { voice, init, provisional } = machine;
  if (provisional || init.role === 'observer') return;
  const before = records.find(({ key }) => key === 'life');
  const next = before ? (decodeCbor(before.bytes) as number) + 1 : 0;
  voice.life = Math.max(Math.floor(init.wallMs), next);
  keepForever(machine, 'life', encodeCbor(voice.life));
}

/** Presence is a hint, not a promise: it is neither durable nor repeated. Only its number is: the life's. */
export const signPresence = (machine: Machine, presence: Presence): Uint8Array =>
  encodeSigned('presence', presenceBody(machine.rules.runDigest, presence), sign(machine));

/** Keeps an applied block that is not final, so that a restart knows what the engine stands at. */
export function keepBlock(machine: Machine, record: BlockRecord, entry: Uint8Array): void {
  persist(machine, `block/${record.block.id}`, record.block.height, entry);
}

/**
 * After a block was settled: what was signed in later views is kept under the next height, because records of lower
 * heights are forgotten; what was signed in views that the stored ledger decides goes. Not before: a block that is
 * final but not stored is not known after a restart; so votes of an epoch that stalled stay while blocks of its
 * recovery are stored, until the adoption is.
 */
export function retainSignatures(machine: Machine): void {
  const { block, state, finality, fork } = machine.settled;
  const open = fork?.next.epoch ?? state.epoch;
  const decided = (key: string): boolean => {
    const [epoch, view] = key.split('/').map(Number) as [number, number];
    return epoch < open || (epoch === block.epoch && view <= (finality?.view ?? block.view));
  };
  for (const [key, bytes] of machine.own.votes)
    if (decided(key)) machine.own.votes.delete(key);
    else persist(machine, `vote/${key}`, block.height + 1, bytes);
  for (const view of machine.views.keys())
    if (ownVote(machine, view, 'notarize')) keepProposal(machine, view);
  for (const [key, { bytes, list }] of machine.own.proposals)
    if (decided(key)) machine.own.proposals.delete(key);
    else persist(machine, `proposal/${key}`, block.height + 1, encodeCbor([bytes, list]));
}

/**
 * The renewal that our vote key needs to count: none when the ledger knows the key, or when it is of no use any more.
 */
export const ownRekey: (machine: Machine) => RekeyRequest | undefined = derived(
  (machine) => [tipOf(machine).state, machine.forgotten, ownVoteKey(machine).key],
  signRekey,
);

function signRekey(machine: Machine): RekeyRequest | undefined {
  const { init, rules, components } = machine;
  const member = memberOf(tipOf(machine).state, init.self);
  const { key, sign: signByNewKey } = ownVoteKey(machine);
  if (!member || member.key === key || machine.forgotten) return undefined;
  const terms = {
    run: rules.runDigest,
    peer: init.self,
    since: member.since,
    renewed: member.renewed + 1,
    key,
  };
  return parseRekey(encodeRekey(terms, components.sign, signByNewKey));
}

/** What this peer asks of the roster, signed anew (the same bytes each time) while it is not granted. */
export function ownRequests(machine: Machine): Uint8Array[] {
  const { init, own, rules, components } = machine;
  const member = memberOf(tipOf(machine).state, init.self);
  if (!member) return own.invitation ? [own.invitation] : [];
  const request = { run: rules.runDigest, peer: init.self, since: member.since };
  const rekey = ownRekey(machine);
  return [...(own.leaving ? [encodeLeave(request, components.sign)] : []), ...(rekey ? [rekey.bytes] : [])];
}
