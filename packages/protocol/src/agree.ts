/**
 * The voting rules (PROTOCOL.md): propose, notarize, skip, finalize. Each function takes the one step that is possible
 * now.
 */
import type { PeerId } from '@murmuration/base';
import { cidOfDigest } from '@murmuration/base';
import { wantList } from './blobs.ts';
import { type Announcement, type BlockRecord, buildRecord, encodeList, listCid } from './block-record.ts';
import { encodeCertificate } from './certificate.ts';
import { encodeChange } from './change.ts';
import { derived } from './counted-map.ts';
import {
  depthMax,
  digestBytes,
  messageBytesMax,
  proposalBytes,
  proposeGraceMs,
  reproposeDelayMs,
  viewTimeoutGrowth,
  viewTimeoutMaxMs,
} from './defaults.ts';
import { examine, isReachable, resultOf } from './follow.ts';
import { decodeHeader, encodeHeader, type Header } from './header.ts';
import type { BlockId } from './index.ts';
import { justifiedBase } from './justify.ts';
import { memberPeers, nextState, stateRootOf } from './ledger-state.ts';
import { epochIdOf, epochOf, headOf, type Machine, tipOf } from './machine.ts';
import type { Plan, ViewSlot } from './machine-parts.ts';
import { chooseChanges } from './pending-changes.ts';
import { includable, isWidelyHeld, selectForBlock } from './pool.ts';
import { expectedMembers, isOver, isSilent, isUrgent } from './readiness.ts';
import { decide } from './settle.ts';
import { keepProposal, ownProposal, ownVote, signProposal, signVote } from './sign.ts';
import type { Proposal } from './statement.ts';
import { addCertificate, baseOfView, countVote, isActive, proposerOfView, slotOf } from './views.ts';
import type { Choice } from './vote.ts';
import { mayVote } from './vote-key.ts';
import { executionOf } from './weights.ts';

/** Signs a vote, counts it, and takes the certificate in that it may complete. */
export function cast(machine: Machine, choice: Choice, view: number, block: BlockId | undefined): void {
  const { vote, ...signed } = signVote(machine, choice, view, block);
  const certificate = countVote(machine, vote, signed);
  if (!certificate) return;
  if (certificate.choice === 'finalize') decide(machine, certificate);
  else addCertificate(machine, certificate);
}

/** Turns proposals into checked blocks as soon as their parent and their contributions are known. */
export function resolveProposals(machine: Machine): boolean {
  let changed = false;
  for (const slot of machine.views.values())
    if (slot.proposal && !slot.proposal.record && slot.proposal.problem === undefined)
      changed = resolve(machine, slot.proposal) || changed;
  return changed;
}

function resolve(machine: Machine, slot: NonNullable<ViewSlot['proposal']>): boolean {
  const { proposal } = slot;
  const { header } = proposal;
  const known = machine.records.get(proposal.block);
  if (known) {
    slot.record = known;
    return true;
  }
  const parent = machine.records.get(header.parent);
  if (!parent) return false;
  if (header.view !== proposal.view || header.proposer !== proposal.proposer) {
    slot.problem = 'block of another view';
    return false;
  }
  const announcements = announcementsOf(machine, proposal);
  if (!announcements && machine.lists.has(header.list)) slot.problem = 'block whose list lacks what it names';
  if (!announcements) return slot.problem !== undefined;
  const built = buildRecord(
    machine.rules,
    parent,
    proposal.block,
    header,
    proposal.headerBytes,
    announcements,
  );
  if (built.record) machine.records.set(proposal.block, built.record);
  if (built.record) slot.record = built.record;
  else slot.problem = built.problem;
  return true;
}

function announcementsOf(
  machine: Machine,
  { contributions, header, proposer }: Proposal,
): Announcement[] | undefined {
  const list = machine.lists.get(header.list);
  const found = contributions.map(
    (cid) => machine.pool.get(cid) ?? list?.find(({ contribution }) => contribution.cid === cid),
  );
  if (found.every((announcement) => announcement !== undefined)) return found;
  if (!list) wantList(machine, header, proposer);
  return undefined;
}

/** Executes the current proposal and signs notarize for it: at most one block per view, also after a skip. */
export function notarize(machine: Machine): boolean {
  const { view } = machine;
  const slot = machine.views.get(view)?.proposal;
  if (!slot?.record || machine.diverged || machine.installing) return false;
  const { record, proposal } = slot;
  const base = justifiedBase(machine, proposal, record);
  if (!base || (record !== base && !isReachable(machine, base.block.id))) return false;
  const tooDeep = base.block.height - tipOf(machine).block.height >= depthMax;
  if (tooDeep && record !== base && record.block.contributions.length > 0) return false;
  const root = examine(machine, record);
  if (root !== 'equal' || !mayVote(machine) || machine.halted !== 'no' || ownVote(machine, view, 'notarize'))
    return false;
  keepProposal(machine, view);
  cast(machine, 'notarize', view, record.block.id);
  return true;
}

/** Signs finalize for every view that was notarized, unless it was skipped or our root is another. */
export function finalize(machine: Machine): boolean {
  if (!mayVote(machine) || machine.halted === 'all') return false;
  for (const [view, { notarized }] of machine.views) {
    if (!notarized?.block || ownVote(machine, view, 'skip') || ownVote(machine, view, 'finalize')) continue;
    if (machine.records.get(notarized.block)?.root === 'different') continue;
    cast(machine, 'finalize', view, notarized.block);
    return true;
  }
  return false;
}

/** When the view's time is over: signs skip, unless finalize was signed, even after notarizing. */
export function skip(machine: Machine): boolean {
  const { view } = machine;
  if (machine.readyAt === undefined || isOver(machine) || !mayVote(machine) || machine.halted !== 'no')
    return false;
  machine.viewDeadline ??= machine.now + timeoutOf(machine);
  if (machine.now < machine.viewDeadline) return false;
  if (ownVote(machine, view, 'skip') || ownVote(machine, view, 'finalize')) return false;
  cast(machine, 'skip', view, undefined);
  return true;
}

/**
 * No time for a proposer that has been silent or has contradicted itself; otherwise more with every view since the last
 * final block.
 */
function timeoutOf(machine: Machine): number {
  const proposer = proposerOfView(machine);
  const isGone =
    !isActive(machine, proposer) || isSilent(machine, proposer) || machine.evidence.has(proposer);
  if (isGone && proposer !== machine.init.self) return 0;
  const grown =
    machine.rules.run.round.viewTimeoutMs *
    viewTimeoutGrowth ** Math.min(64, machine.view - machine.floor - 1);
  return Math.min(viewTimeoutMaxMs, grown);
}

/** Whether every contribution that we waited for is held by a quorum, so that waiting longer brings nothing. */
const isComplete: (machine: Machine) => boolean = derived(
  (machine) => [includable(machine), expectedMembers(machine), tipOf(machine), machine.peers.revision],
  (machine) => {
    const expected = new Set(expectedMembers(machine));
    return includable(machine).every(
      (entry) => !expected.has(entry.contribution.author) || isWidelyHeld(machine, entry),
    );
  },
);

/** When a ready proposer stops waiting for others' holdings, or for the finalization that makes a proposal needless. */
export const proposeAt = (machine: Machine): number =>
  (machine.readyAt ?? machine.now) + (isUrgent(machine) ? reproposeDelayMs : proposeGraceMs);

/** Chooses what we would propose on the head. Members that do not propose execute it ahead: it is likely the same. */
function planRound(machine: Machine, mine: boolean): Plan | undefined {
  const head = headOf(machine);
  const { plan } = machine;
  if (plan && plan.parent === head.block.id && (!mine || plan.view === machine.view)) return plan;
  const due = machine.now >= proposeAt(machine);
  if (isUrgent(machine) ? !due : !isComplete(machine) && !(mine && due)) return undefined;
  const announcements = isUrgent(machine) ? [] : selectForBlock(machine);
  if (announcements.length === 0 && !isUrgent(machine)) return undefined;
  const { run } = machine.rules;
  const members = memberPeers(head.state);
  const { norms } = head.state;
  const contributions = announcements.map(({ contribution }) => contribution);
  const execution = executionOf({ run, members, norms }, head.block.id, head.block.height + 1, contributions);
  machine.plan = { parent: head.block.id, view: machine.view, announcements, execution };
  return machine.plan;
}

/** Prepares the round's block, and proposes it when it is our turn. Returns whether it did. */
export function propose(machine: Machine): boolean {
  if (machine.readyAt === undefined || isOver(machine) || !mayVote(machine) || machine.halted !== 'no')
    return false;
  const mine = proposerOfView(machine) === machine.init.self && !ownProposal(machine, machine.view);
  const slot = machine.views.get(machine.view);
  if (slot?.proposal || ownVote(machine, machine.view, 'notarize')) return false;
  const base = baseOfView(machine);
  const head = headOf(machine);
  if (!base || base.record !== head) return false;
  if (head.terminal && head !== tipOf(machine)) {
    if (!mine || machine.now < proposeAt(machine)) return false;
    publish(machine, base.after, { again: head });
    return true;
  }
  const plan = planRound(machine, mine);
  if (!plan) return false;
  const tensors =
    plan.announcements.length === 0 ? head.block.tensors : resultOf(machine, plan.execution)?.tensors;
  if (!mine || !tensors) return false;
  const list = encodeList(plan.announcements);
  const taken = proposalBytes + plan.announcements.length * digestBytes;
  const changes = chooseChanges(machine, messageBytesMax - taken);
  const contributions = plan.announcements.map(({ contribution }) => contribution);
  const state = nextState(machine.rules.run, head.state, head.block.height + 1, contributions, changes);
  const header: Header = {
    run: machine.rules.runDigest,
    epoch: epochOf(machine),
    view: machine.view,
    height: head.block.height + 1,
    parent: head.block.id,
    proposer: machine.init.self,
    list: listCid(list, machine.rules.hash),
    listBytes: list.length,
    tensors,
    root: stateRootOf(tensors, state, machine.rules.hash),
    changes: changes.map(encodeChange),
  };
  publish(machine, base.after, { header, announcements: plan.announcements, list });
  return true;
}

/** Signs and sends a proposal: a new block, or one again. The skips that justify it go before it. */
export function publish(
  machine: Machine,
  after: number,
  what:
    | { readonly header: Header; readonly announcements: readonly Announcement[]; readonly list: Uint8Array }
    | { readonly again: BlockRecord },
): void {
  const fresh = 'again' in what ? undefined : what;
  const { announcements } = 'again' in what ? what.again : what;
  const list = fresh?.list ?? encodeList(announcements);
  const headerBytes = 'again' in what ? what.again.headerBytes : encodeHeader(what.header);
  for (let view = after; view < machine.view; view++) {
    const { notarized, skipped } = machine.views.get(view) ?? {};
    const proof = view === after ? (machine.view - after > 1 ? notarized : undefined) : skipped;
    if (proof) machine.out.statements.push(encodeCertificate(machine.rules.runDigest, proof));
  }
  const unsigned = {
    ...epochIdOf(machine),
    view: machine.view,
    after,
    block: cidOfDigest(machine.rules.hash(headerBytes), 'dag-cbor'),
    headerBytes,
    contributions: announcements.map(({ contribution }) => contribution.cid),
    proposer: machine.init.self as PeerId,
  };
  const bytes = signProposal(machine, unsigned, list);
  const header = fresh?.header ?? decodeHeader(headerBytes);
  if (fresh) machine.out.serve.push({ kind: 'serve', blob: header.list, bytes: list });
  slotOf(machine, machine.view).proposal = { proposal: { ...unsigned, header }, bytes };
}
