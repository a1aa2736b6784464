/** Ledgers that production replicas wrote, and what a forger makes of them. */
import {
  type Cid,
  cidOf,
  decodeCbor,
  encodeCbor,
  type PeerId,
  type RunConfig,
  runDigest,
  runIdOf,
} from '@murmuration/base';
import { createInvitation, signInvitation } from '@murmuration/protocol';
import { createWalk } from '../src/audit.ts';
import { buildRecord, encodeList, listCid } from '../src/block-record.ts';
import { certificateBody } from '../src/certificate.ts';
import { decodeHeader, encodeHeader, type Header } from '../src/header.ts';
import { decodeEntry, encodeEntry } from '../src/ledger-entry.ts';
import { type LedgerState, type Member, memberOf, nextState, stateRootOf } from '../src/ledger-state.ts';
import { createOpening, openedRecord, parseOpening, signOpening } from '../src/opening.ts';
import { encodeRekey } from '../src/request.ts';
import { signedBytes } from '../src/signing.ts';
import { voteBody } from '../src/vote.ts';
import { type BusPeer, createBus, type Key } from './harness.ts';

export interface WrittenLedger {
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly entries: readonly Uint8Array[];
  /** Of the founders, then of the guest that becomes a member. */
  readonly keys: readonly Key[];
  readonly peers: readonly BusPeer[];
}

/** Components that check each signature once: what is read again and again costs a look-up. */
export function checkedOnce({ hash, verify }: Key['components']): Pick<Key['components'], 'hash' | 'verify'> {
  const known = new Map<string, boolean>();
  return {
    hash,
    verify(signer, bytes, signature) {
      const key = [
        signer,
        Buffer.from(bytes).toString('latin1'),
        Buffer.from(signature).toString('latin1'),
      ].join();
      const holds = known.get(key) ?? verify(signer, bytes, signature);
      known.set(key, holds);
      return holds;
    },
  };
}

/** Sixteen rounds of four founders and a guest: one leaves, the guest is invited, both end an epoch. */
export function writeLedger(): WrittenLedger {
  const bus = createBus({ members: 4, guests: 1, run: { rounds: 16 } });
  const [founder, , leaver] = bus.peers as [BusPeer, BusPeer, BusPeer];
  const guest = bus.peers[4] as BusPeer;
  const rounds = (count: number): void => {
    for (let round = 0; round < count; round++) {
      bus.round();
      bus.wait(2_000);
    }
  };
  rounds(4);
  leaver.handle({ kind: 'leave' });
  bus.flow();
  rounds(4);
  const terms = { runId: bus.runId, guest: guest.key.peer, role: 'member' as const, expires: 90, uses: 1 };
  const invitation = createInvitation(terms);
  guest.handle({
    kind: 'invited',
    invitation: signInvitation(invitation, founder.key.peer, founder.key.components.sign),
  });
  bus.flow();
  rounds(12);
  return {
    run: bus.run,
    runId: bus.runId,
    entries: founder.ledger.map(({ bytes }) => bytes),
    keys: bus.peers.map(({ key }) => key),
    peers: bus.peers,
  };
}

interface EntryValue {
  readonly header: Uint8Array;
  readonly announcements: readonly Uint8Array[];
  readonly certificate: unknown;
  readonly opening: unknown;
}

/** The entry with other parts. */
export const changeEntry = (
  entry: Uint8Array,
  change: (value: EntryValue) => Partial<EntryValue>,
): Uint8Array => {
  const value = decodeCbor(entry) as EntryValue;
  return encodeCbor({ ...value, ...change(value) });
};

/** The entry with another header, and a finalize certificate for it by these signers' keys. */
export function forgeEntry(
  { runId, keys }: Pick<WrittenLedger, 'runId' | 'keys'>,
  entry: Uint8Array,
  signers: readonly number[],
  change: Partial<Header> & { readonly announcements?: readonly Uint8Array[] },
  voters: readonly PeerId[],
): Uint8Array {
  const run = runDigest(runId);
  const { hash } = (keys[0] as Key).components;
  const { certificate } = decodeEntry(entry, run, hash);
  if (!certificate) throw new Error('expected an entry with a certificate');
  const { announcements, ...changes } = change;
  return changeEntry(entry, (value) => {
    const header = encodeHeader({ ...decodeHeader(value.header), ...changes });
    const block = cidOf(header, 'dag-cbor');
    const { epoch, opened, view } = certificate;
    const signatures = signers.map((signer) => {
      const voter = voters[signer] as PeerId;
      const body = voteBody(run, { epoch, opened, view, choice: 'finalize', block, voter });
      const key = keys.find(({ peer }) => peer === voter) as Key;
      return key.components.sign(signedBytes('vote', body));
    });
    const forged = certificateBody(run, { ...certificate, block, signers, signatures });
    return { header, certificate: forged, announcements: announcements ?? value.announcements };
  });
}

/** The renewal by which a member of a state votes by another key from now on. */
export function rekeyOf(
  { run, state }: { readonly run: RunConfig; readonly state: Pick<LedgerState, 'members'> },
  { peer, components }: Key,
  by: Key,
): Uint8Array {
  const { since, renewed } = memberOf(state, peer) as Member;
  const terms = { run: runDigest(runIdOf(run)), peer, since, renewed: renewed + 1, key: by.peer };
  return encodeRekey(terms, components.sign, by.components.sign);
}

/**
 * The ledger up to a final block, from which its founders opened an epoch of these peers anew: three empty blocks, each
 * certified by all of them. `signers` are the founders that signed; `renewed` are new vote keys that it brings.
 */
export function reopenLedger(
  { run, runId, entries, keys }: WrittenLedger,
  fork: number,
  listed: readonly PeerId[],
  signers: readonly PeerId[] = run.founders,
  renewed: ReadonlyMap<PeerId, Key> = new Map(),
): Uint8Array[] {
  const { components } = keys[0] as Key;
  const keyOf = (peer: PeerId): Key => keys.find((key) => key.peer === peer) as Key;
  const walk = createWalk({ run, runId }, components);
  for (const entry of entries.slice(0, fork)) walk.take(entry);
  const { next, block, state } = walk.tip;
  const rekeys = [...renewed].map(([peer, key]) => rekeyOf({ run, state }, keyOf(peer), key));
  const terms = {
    runId,
    ...next,
    fork: block.id,
    height: fork,
    attempt: 0,
    listed,
    rekeys,
    authority: 'founders' as const,
  };
  const opening = signers.reduce(
    (bytes, peer) => signOpening(bytes, peer, keyOf(peer).components.sign),
    createOpening(terms),
  );
  let parent = openedRecord(walk.rules, walk.tip, parseOpening(opening));
  const opened: Uint8Array[] = [];
  for (let view = 0; view < 3; view++) {
    const height = parent.block.height + 1;
    const list = encodeList([]);
    const { epoch } = parent.next;
    const { tensors } = parent.block;
    const headerBytes = encodeHeader({
      run: runDigest(runId),
      epoch,
      view,
      height,
      parent: parent.block.id,
      proposer: listed[0] as PeerId,
      list: listCid(list, components.hash),
      listBytes: list.length,
      tensors,
      root: stateRootOf(tensors, nextState(run, parent.state, height, [], []), components.hash),
      changes: [],
    });
    const id = cidOf(headerBytes, 'dag-cbor');
    const { record, problem } = buildRecord(
      walk.rules,
      parent,
      id,
      decodeHeader(headerBytes),
      headerBytes,
      [],
    );
    if (!record) throw new Error(problem);
    const vote = { ...parent.next, view, choice: 'finalize' as const, block: id };
    const { voters } = parent.state;
    const signatures = voters.map((voter) => {
      const body = voteBody(runDigest(runId), { ...vote, voter });
      const { components: by } = renewed.get(voter) ?? keyOf(voter);
      return by.sign(signedBytes('vote', body));
    });
    const certificate = { ...vote, signers: voters.map((_, index) => index), signatures, rekeys: [] };
    opened.push(encodeEntry(runDigest(runId), record, certificate));
    parent = record;
  }
  return [...entries.slice(0, fork), ...opened];
}
