import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cid, cidOf, cidOfDigest, encodeCbor, nameBlob, runDigest, sha256 } from '@murmuration/base';
import { listCid } from '../src/block-record.ts';
import { fetchRetryMs, listsMax } from '../src/defaults.ts';
import { encodeHeader } from '../src/header.ts';
import type { Machine } from '../src/machine.ts';
import { createRegular, replicaOf } from '../src/replica.ts';
import { contributionBody, encodeMessage, encodeProposal, encodeSigned } from '../src/statement.ts';
import { type Bus, type BusPeer, createBus } from './harness.ts';

const announcementsPerList = 100;

interface List {
  readonly list: Cid;
  readonly listBytes: number;
}

/** A list of well-signed announcements, which can be had. */
function serveList({ runId, lists }: Bus, { key, replica }: BusPeer, number: number): List {
  const { block: base, height: baseHeight } = replica.view.final;
  const announcements = Array.from({ length: announcementsPerList }, (_, index) => {
    const sequence = 1_000 + number * announcementsPerList + index;
    const blob = nameBlob(encodeCbor(['delta', sequence])).cid;
    const draft = { base, baseHeight, blob, blobBytes: 100, norm: 1.5, tokens: 10, steps: 5, loss: 2.5 };
    const body = contributionBody(runDigest(runId), key.peer, sequence, draft);
    return encodeSigned('contribution', body, key.components.sign);
  });
  const bytes = encodeCbor(announcements);
  const list = listCid(bytes, sha256);
  lists.set(list, bytes);
  return { list, listBytes: bytes.length };
}

/** A proposal of a block with one contribution, which no list has. */
function proposalOf({ runId }: Bus, { key, replica }: BusPeer, view: number, list: List): Uint8Array {
  const { final, opens } = replica.view;
  const run = runDigest(runId);
  const headerBytes = encodeHeader({
    ...{ run, epoch: opens.epoch, view, height: final.height + 1, parent: final.block, proposer: key.peer },
    ...list,
    ...{ tensors: cidOf(encodeCbor('tensors')), root: new Uint8Array(32), changes: [] },
  });
  const proposal = {
    ...{ ...opens, view, after: view - 1, headerBytes, proposer: key.peer },
    block: cidOfDigest(sha256(headerBytes), 'dag-cbor'),
    contributions: [cidOf(encodeCbor(['nowhere', view]), 'dag-cbor')],
  };
  return encodeProposal(run, proposal, { hash: sha256, sign: key.components.sign });
}

/** A member and its machine, and another one, whose proposals of views to come it gets. */
function createDeceived() {
  const machines: Machine[] = [];
  const bus = createBus({
    members: 4,
    run: { rounds: 40, quorum: 'byzantine' },
    create(init, components) {
      const machine = createRegular(init, components);
      machines.push(machine);
      return replicaOf(machine);
    },
  });
  bus.round();
  bus.wait(2_000);
  const [victim, liar] = bus.peers as [BusPeer, BusPeer];
  const [machine] = machines as [Machine];
  const { view, voters } = victim.replica.view;
  const turn = voters.indexOf(liar.key.peer);
  const first = view + 2 + ((turn - view - 2 + 8 * voters.length) % voters.length);
  const fetched = new Map<Cid, number>();
  bus.outcomeOf = (peer, { purpose, blob }) => {
    if (peer !== victim || purpose !== 'contributions') return 'held';
    fetched.set(blob, (fetched.get(blob) ?? 0) + 1);
    assert.ok(fetched.size < 1_000 && (fetched.get(blob) ?? 0) < 10, 'fetches come to an end');
    return 'held';
  };
  const propose = (count: number, list: List): void => {
    const bytes = encodeMessage([proposalOf(bus, liar, first + count * voters.length, list)]);
    victim.handle({ kind: 'message', from: liar.key.peer, bytes });
  };
  const fetches = (): number => [...fetched.values()].reduce((sum, times) => sum + times, 0);
  const problems = (): (string | undefined)[] =>
    [...machine.views.values()].flatMap(({ proposal }) => (proposal ? [proposal.problem] : []));
  return { bus, victim, liar, propose, fetches, problems };
}

const lacking = 'block whose list lacks what it names';

test('resolveProposals fetches the list of a proposal once that names what it lacks (G6)', () => {
  const { bus, victim, liar, propose, fetches, problems } = createDeceived();
  const count = listsMax + 1;
  const lists = Array.from({ length: count }, (_, number) => serveList(bus, liar, number));
  const before = victim.checks;
  for (const [number, list] of lists.entries()) propose(number, list);
  bus.flow();
  assert.equal(fetches(), count);
  const checks = count * (announcementsPerList + 1);
  assert.ok(victim.checks - before <= checks, `${victim.checks - before} signature checks`);
  assert.deepEqual(problems(), Array(count).fill(lacking));
  bus.wait(100);
  assert.equal(fetches(), count);
});

test('wantList asks for a list that had to give way to others again, but not at once (G6)', () => {
  const { bus, liar, propose, fetches, problems } = createDeceived();
  const count = listsMax + 1;
  const lists = Array.from({ length: count }, (_, number) => serveList(bus, liar, number));
  for (const [number, list] of lists.entries()) propose(number, list);
  bus.flow();
  propose(count, lists[0] as List);
  bus.flow();
  bus.wait(fetchRetryMs - 100);
  assert.equal(fetches(), count);
  bus.wait(200);
  assert.equal(fetches(), count + 1);
  assert.deepEqual(problems(), Array(count + 1).fill(lacking));
});
