/**
 * The regular epoch while a recovery has the engine. Its machine still counts votes, skips views and finalizes what was
 * notarized, and it may propose and notarize blocks without contributions, which need no engine. One kind of them, the
 * adoption, has the recovery's newest final block as its parent: once it is final, by the ordinary rules of the epoch,
 * everything in the recovery is regular. Where the epoch has a notarized block above the fork, an empty block on that
 * ends the recovery instead. So a regular quorum always finds an end, and never two.
 */
import { cast, proposeAt, publish } from './agree.ts';
import { type BlockRecord, encodeList, isAdoption, isSameBlock, listCid } from './block-record.ts';
import { adoptionPatienceMs } from './defaults.ts';
import { hasQuorum, isAtFork } from './gather.ts';
import type { Header } from './header.ts';
import { justifiedBase } from './justify.ts';
import { nextState, openEpoch, stateRootOf } from './ledger-state.ts';
import { epochOf, type Machine, tipOf } from './machine.ts';
import { isOver } from './readiness.ts';
import { quorumOf } from './roster.ts';
import { keepProposal, ownProposal, ownVote } from './sign.ts';
import { baseOfView, proposerOfView } from './views.ts';
import { mayVote } from './vote-key.ts';

/**
 * The views of the regular epoch run while a quorum of it is there, until another block above the fork is final or the
 * founders reopened: then the engine is on its way back, and more empty blocks would only use up rounds. Returns
 * whether that changed.
 */
export function noticeQuorum(machine: Machine): boolean {
  const { dormant } = machine;
  if (!dormant) return false;
  const isThere = hasQuorum(machine) && isAtFork(machine, dormant.opening);
  if (isThere === (dormant.quorumSince !== undefined)) return false;
  dormant.quorumSince = isThere ? machine.now : undefined;
  machine.readyAt = dormant.quorumSince;
  machine.viewDeadline = undefined;
  return true;
}

const isPatienceOver = (machine: Machine): boolean =>
  machine.now >= (machine.dormant?.quorumSince ?? machine.now) + adoptionPatienceMs;

/**
 * Whether an adoption takes all that the recovery made, or an empty block on the fork loses nothing of it: who votes in
 * it knows, the others follow them.
 */
function agrees(machine: Machine, record: BlockRecord): boolean {
  const { adoptable, isCalm, opening } = machine.dormant as NonNullable<Machine['dormant']>;
  const { listed } = opening;
  const patient = !isPatienceOver(machine);
  if (listed.includes(machine.init.self))
    return isSameBlock(adoptable, record.parent) && (isCalm || !patient);
  const votes = machine.views.get(machine.view)?.notarize;
  const agreed = listed.filter((peer) => votes?.get(peer)?.block === record.block.id);
  return !patient || agreed.length >= quorumOf('crash', listed.length);
}

/** Signs notarize for a block without contributions. */
export function notarizeEmpty(machine: Machine): boolean {
  const { view } = machine;
  const slot = machine.views.get(view)?.proposal;
  if (!machine.dormant || !slot?.record || machine.readyAt === undefined) return false;
  if (!mayVote(machine) || ownVote(machine, view, 'notarize')) return false;
  const { record, proposal } = slot;
  const base = justifiedBase(machine, proposal, record);
  if (!base) return false;
  const isAgain = isSameBlock(base, record);
  if (!isAgain && record.block.contributions.length > 0) return false;
  const endsIt = isAdoption(record) || isSameBlock(base, tipOf(machine));
  if (!isAgain && endsIt && !agrees(machine, record)) return false;
  keepProposal(machine, view);
  cast(machine, 'notarize', view, record.block.id);
  return true;
}

/** Proposes the adoption, or an empty block on what the epoch has notarized above the fork. */
export function proposeEmpty(machine: Machine): boolean {
  const { dormant, view } = machine;
  if (!dormant || machine.readyAt === undefined || isOver(machine) || !mayVote(machine)) return false;
  if (proposerOfView(machine) !== machine.init.self || ownProposal(machine, view)) return false;
  if (machine.views.get(view)?.proposal || ownVote(machine, view, 'notarize')) return false;
  const base = baseOfView(machine);
  if (!base || machine.now < proposeAt(machine)) return false;
  const isTip = isSameBlock(base.record, tipOf(machine));
  if (base.record.terminal && !isTip) {
    publish(machine, base.after, { again: base.record });
    return true;
  }
  const adopts = isTip && dormant.adoptable.block.height > base.record.block.height;
  if (adopts && !dormant.isCalm && !isPatienceOver(machine)) return false;
  const fresh = emptyBlock(machine, adopts ? dormant.adoptable : base.record, adopts);
  publish(machine, base.after, fresh);
  return true;
}

function emptyBlock(machine: Machine, parent: BlockRecord, adopts: boolean) {
  const { run, runDigest, hash } = machine.rules;
  const list = encodeList([]);
  const height = parent.block.height + 1;
  const after = nextState(run, parent.state, height, [], []);
  const state = adopts ? openEpoch(run, { ...after, epoch: parent.state.epoch + 1 }) : after;
  const { tensors } = parent.block;
  const header: Header = {
    run: runDigest,
    epoch: epochOf(machine),
    view: machine.view,
    height,
    parent: parent.block.id,
    proposer: machine.init.self,
    list: listCid(list, hash),
    listBytes: list.length,
    tensors,
    root: stateRootOf(tensors, state, hash),
    changes: [],
  };
  return { header, announcements: [], list };
}

/** Whether we notarized an adoption of whose view nobody knows the outcome yet. */
export const awaitsAdoption = (machine: Machine): boolean =>
  [...machine.views].some(
    ([view, { proposal, skipped }]) =>
      !skipped &&
      proposal?.record !== undefined &&
      isAdoption(proposal.record) &&
      ownVote(machine, view, 'notarize') !== undefined,
  );
