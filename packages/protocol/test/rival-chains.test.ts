import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOfDigest, sha256 } from '@murmuration/base';
import { type BlockRecord, buildRecord, encodeList, listCid } from '../src/block-record.ts';
import type { Certificate } from '../src/certificate.ts';
import { encodeHeader, type Header } from '../src/header.ts';
import { encodeEntry } from '../src/ledger-entry.ts';
import { nextState, stateRootOf } from '../src/ledger-state.ts';
import type { Machine } from '../src/machine.ts';
import { createRegular, replicaOf } from '../src/replica.ts';
import { signedBytes } from '../src/signing.ts';
import { voteBody } from '../src/vote.ts';
import { type BusPeer, createBus } from './harness.ts';

/** An empty block. */
function childOf({ rules }: Machine, parent: BlockRecord, view: number): BlockRecord {
  const { state, next, block } = parent;
  const list = encodeList([]);
  const height = block.height + 1;
  const after = nextState(rules.run, state, height, [], []);
  const header: Header = {
    ...{ run: rules.runDigest, epoch: next.epoch, view, height, parent: block.id },
    proposer: state.voters[view % state.voters.length] as Header['proposer'],
    ...{ list: listCid(list, rules.hash), listBytes: list.length, tensors: block.tensors },
    ...{ root: stateRootOf(block.tensors, after, rules.hash), changes: [] },
  };
  const bytes = encodeHeader(header);
  const { record, problem } = buildRecord(
    rules,
    parent,
    cidOfDigest(sha256(bytes), 'dag-cbor'),
    header,
    bytes,
    [],
  );
  assert.ok(record, problem);
  return record;
}

for (const isKnown of [false, true])
  test(`onSynced shows two histories where the rival is ${isKnown ? '' : 'not '}known as a proposal (G1)`, () => {
    const machines: Machine[] = [];
    const bus = createBus({
      members: 4,
      run: { rounds: 40, quorum: 'crash' },
      create(init, components) {
        const machine = createRegular(init, components);
        machines.push(machine);
        return replicaOf(machine);
      },
    });
    bus.round();
    bus.round();
    const [peer, other] = bus.peers as [BusPeer, BusPeer];
    const machine = machines[0] as Machine;
    const { settled } = machine;
    assert.equal(settled.block.height, 2);
    const rival = childOf(machine, settled.parent as BlockRecord, 9);
    const above = childOf(machine, rival, 10);
    const vote = { ...rival.next, view: 10, choice: 'finalize', block: above.block.id } as const;
    const signatures = rival.state.voters.map((voter) => {
      const signed = signedBytes('vote', voteBody(machine.rules.runDigest, { ...vote, voter }));
      return (bus.peers.find(({ key }) => key.peer === voter) as BusPeer).key.components.sign(signed);
    });
    const signers = signatures.map((_, index) => index);
    const certificate: Certificate = { ...vote, signers, signatures, rekeys: [] };
    if (isKnown) machine.records.set(rival.block.id, rival);
    const entryOf = (record: BlockRecord, finality?: Certificate) => ({
      height: record.block.height,
      bytes: encodeEntry(machine.rules.runDigest, record, finality),
    });
    const entries = [entryOf(rival), entryOf(above, certificate)];
    peer.handle({ kind: 'synced', from: other.key.peer, entries });
    const conflicts = peer.effects.flatMap((effect) =>
      effect.kind === 'report' && effect.report.kind === 'conflict' ? [effect.report] : [],
    );
    const [ours, theirs] = [settled.block.id, rival.block.id];
    assert.deepEqual(conflicts, [{ kind: 'conflict', height: 2, ours, theirs, from: [other.key.peer] }]);
    assert.equal(peer.replica.view.phase, 'conflict');
  });
