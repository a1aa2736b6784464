/** From what the store and the engine have after a restart to a machine that contradicts nothing it has signed. */
import { DigestError, decodeCbor } from '@murmuration/base';
import { holdOwn, wantDelta } from './blobs.ts';
import { ancestorAt, type BlockRecord, buildRecord } from './block-record.ts';
import type { Certificate } from './certificate.ts';
import { listsMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import type { BlockId, DurableRecord, LedgerEntry, ReplicaEvent } from './index.ts';
import { decodeAnnouncement, decodeEntry } from './ledger-entry.ts';
import { epochOf, keepAtMost, type Machine, tipOf } from './machine.ts';
import { isIncluded } from './own.ts';
import { addToPool } from './pool.ts';
import { openViews, reportEnd, sweep } from './settle.ts';
import { decodeStatement } from './statement.ts';
import { addCertificate, countVote, slotOf } from './views.ts';

type Start = Extract<ReplicaEvent, { kind: 'start' }>;

export function start(machine: Machine, event: Start): void {
  try {
    const chain = readLedger(machine, event.ledger);
    restoreBlocks(machine, event.records);
    placeEngine(machine, chain, event);
    restoreContributions(machine, event.records, chain);
    restoreSignatures(machine, event.records);
  } catch (cause) {
    if (!(cause instanceof ProtocolError) && !(cause instanceof DigestError)) throw cause;
    throw new ProtocolError(`cannot start: ${cause.message}`, { code: 'bad-start' }, { cause });
  }
  reportEnd(machine);
  if (machine.settled !== machine.genesis) sweep(machine);
}

/** The stored chain from genesis. Its certificates were checked when it was stored. */
function readLedger(machine: Machine, entries: readonly LedgerEntry[]): BlockRecord[] {
  const { rules } = machine;
  const chain = [machine.genesis];
  for (const { bytes } of entries) {
    const entry = decodeEntry(bytes, rules.runDigest, rules.hash);
    const parent = chain.at(-1) as BlockRecord;
    const { record, problem } = buildRecord(
      rules,
      parent,
      entry.id,
      entry.header,
      entry.headerBytes,
      entry.announcements,
    );
    if (!record)
      throw new ProtocolError(`stored block ${parent.block.height + 1}: ${problem}`, {
        code: 'bad-start',
        height: parent.block.height + 1,
      });
    record.finality = entry.certificate;
    chain.push(record);
    machine.records.set(entry.id, record);
  }
  return chain;
}

/** Blocks that were applied but not final, with their notarizations. */
function restoreBlocks(machine: Machine, records: readonly DurableRecord[]): void {
  const { rules } = machine;
  const kept = records
    .filter(({ key }) => key.startsWith('block/'))
    .map(({ bytes }) => decodeEntry(bytes, rules.runDigest, rules.hash))
    .sort((a, b) => a.header.height - b.header.height);
  for (const entry of kept) {
    const parent = machine.records.get(entry.header.parent);
    if (!parent || machine.records.has(entry.id)) continue;
    const { id, header, headerBytes, announcements } = entry;
    const { record } = buildRecord(rules, parent, id, header, headerBytes, announcements);
    if (record) machine.records.set(id, record);
    if (record && entry.certificate) machine.restored.push(entry.certificate);
  }
}

/** Finds the engine's block, takes back what is not on the final chain, and queues the final blocks that it lacks. */
function placeEngine(machine: Machine, chain: readonly BlockRecord[], event: Start): void {
  const tip = chain.at(-1) as BlockRecord;
  const stack = [...(event.undoable ?? [])];
  if (event.applied && stack.at(-1)?.block !== event.applied.block) stack.push(event.applied);
  const isKnown = (block: BlockId): boolean => machine.records.has(block);
  while (stack.length > 0 && !isKnown((stack.at(-1) as { block: BlockId }).block)) {
    const { block, height } = stack.pop() as { block: BlockId; height: number };
    if (stack.length === 0 && (event.undoable?.length ?? 0) === 0)
      throw new ProtocolError(`the engine stands at the unknown block ${block} of height ${height}`, {
        code: 'bad-start',
        height,
      });
    machine.out.rest.push({ kind: 'undo', block, height });
  }
  const top = stack.at(-1);
  const below = event.undoable?.[0]?.height;
  const fallback = below === undefined ? machine.genesis : (chain[below - 1] ?? tip);
  const stand = top
    ? (machine.records.get(top.block) as BlockRecord)
    : event.applied
      ? fallback
      : machine.genesis;
  const undoable = new Set(event.undoable?.map(({ block }) => block));
  const path: BlockRecord[] = [];
  let at = stand;
  while (undoable.has(at.block.id) || chain[at.block.height] !== at) {
    path.unshift(at);
    at = at.parent as BlockRecord;
  }
  machine.settled = at;
  machine.applied = path;
  machine.decided = chain.slice(at.block.height + 1);
  for (const record of [at, ...path]) record.root = 'equal';
  openViews(machine, tip.block.epoch, tip.finality?.view ?? tip.block.view);
  if (tip.state.epoch === tip.block.epoch) return;
  machine.floor = -1;
}

function restoreContributions(
  machine: Machine,
  records: readonly DurableRecord[],
  chain: readonly BlockRecord[],
): void {
  const { rules } = machine;
  const own = records
    .filter(({ key }) => key.startsWith('contribution/'))
    .map(({ bytes }) => ({ ...decodeAnnouncement(bytes, rules.runDigest, rules.hash), bytes }))
    .sort((a, b) => a.contribution.sequence - b.contribution.sequence);
  for (const { contribution, bytes } of own) {
    machine.own.sequence = contribution.sequence;
    machine.own.last = contribution;
    const entry = { contribution, bytes, expired: false };
    const { settled } = machine;
    if (isIncluded(chain.at(-1) as BlockRecord, entry) && isIncluded(settled, entry)) continue;
    const tooLate = settled.block.height >= contribution.baseHeight + rules.run.lateHeights;
    const base = ancestorAt(settled, contribution.baseHeight);
    const forked = base !== undefined && base.block.id !== contribution.base;
    if (tooLate || forked)
      machine.out.rest.push({ kind: 'expire', contribution: contribution.cid, blob: contribution.blob });
    else {
      machine.own.contributions.set(contribution.sequence, entry);
      holdOwn(machine, contribution);
      addToPool(machine, entry);
    }
  }
  for (const record of machine.applied)
    for (const announcement of record.announcements) {
      if (announcement.contribution.author === machine.init.self) continue;
      wantDelta(machine, announcement.contribution);
      addToPool(machine, announcement);
    }
}

/** Own votes and proposals of undecided views, and the notarizations that came with kept blocks. */
function restoreSignatures(machine: Machine, records: readonly DurableRecord[]): void {
  const { hash } = machine.rules;
  const epoch = epochOf(machine);
  const certificates: Certificate[] = machine.restored.splice(0);
  for (const certificate of certificates)
    if (certificate.epoch === epoch && certificate.view > machine.floor) addCertificate(machine, certificate);
  for (const { key, bytes } of records) {
    const isProposal = key.startsWith('proposal/');
    if (!isProposal && !key.startsWith('vote/')) continue;
    const [own, list] = isProposal ? (decodeCbor(bytes) as [Uint8Array, Uint8Array]) : [bytes, bytes];
    const statement = decodeStatement(own, hash);
    if (statement.kind === 'vote') {
      const { vote, signature } = statement;
      if (vote.epoch !== epoch || vote.view <= machine.floor) continue;
      machine.own.votes.set(`${epoch}/${vote.view}/${vote.choice}`, own);
      const certificate = countVote(machine, vote, signature);
      if (certificate && certificate.choice !== 'finalize') addCertificate(machine, certificate);
      if (certificate?.choice === 'finalize') machine.pendingFinality = certificate;
    } else if (statement.kind === 'proposal') {
      const { proposal } = statement;
      if (proposal.epoch !== epoch || proposal.view <= machine.floor) continue;
      machine.own.proposals.set(`${epoch}/${proposal.view}`, { bytes: own, list });
      slotOf(machine, proposal.view).proposal = { proposal, bytes: own };
      machine.out.serve.push({ kind: 'serve', blob: proposal.header.list, bytes: list });
      keepList(machine, proposal.header.list, list);
    }
  }
  machine.activeSince = machine.view + tipOf(machine).state.roster.length;
}

/** Reads a list of announcements into the machine. Throws `ProtocolError` or `DigestError`. */
export function keepList(
  machine: Machine,
  blob: Parameters<Machine['lists']['set']>[0],
  bytes: Uint8Array,
): void {
  const list = decodeCbor(bytes);
  const { runDigest, hash } = machine.rules;
  if (!Array.isArray(list) || !list.every((item) => item instanceof Uint8Array))
    throw new ProtocolError('list: expected byte strings', { code: 'bad-message' });
  const announcements = list.map((item: Uint8Array) => {
    const statement = decodeAnnouncement(item, runDigest, hash);
    if (!machine.rules.verify(statement.signer, statement.signed, statement.signature))
      throw new ProtocolError('list: contribution with a wrong signature', { code: 'bad-message' });
    return { contribution: statement.contribution, bytes: item };
  });
  machine.lists.set(blob, announcements);
  keepAtMost(machine.lists, listsMax);
}
