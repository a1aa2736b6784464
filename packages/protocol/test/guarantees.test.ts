/** The guarantees of PROTOCOL.md as assertions of the production code: each fires when something breaks it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, encodeCbor } from '@murmuration/base';
import { keepEvidence } from '../src/accuse.ts';
import { type BlockRecord, isSameBlock } from '../src/block-record.ts';
import { requestsMax } from '../src/defaults.ts';
import { createEvidence, deedOf } from '../src/evidence.ts';
import { keepAtMost, type Machine } from '../src/machine.ts';
import { settleOwn } from '../src/own.ts';
import { createRegular, replicaOf } from '../src/replica.ts';
import { extendDecided, settle } from '../src/settle.ts';
import { retainSignatures, signProposal, signVote } from '../src/sign.ts';
import { voteBody } from '../src/vote.ts';
import { type Bus, type BusPeer, createBus, createKey } from './harness.ts';

const block = (name: string) => cidOf(encodeCbor(name), 'dag-cbor');

/** The machines of four members after two rounds, and the newest record of the first. */
function afterTwoRounds() {
  const machines: Machine[] = [];
  const bus: Bus = createBus({
    members: 4,
    run: { rounds: 20 },
    create(init, components) {
      const machine = createRegular(init, components);
      machines.push(machine);
      return replicaOf(machine);
    },
  });
  bus.round();
  bus.round();
  const [machine] = machines as [Machine];
  const [peer] = bus.peers as [BusPeer];
  const { settled } = machine;
  assert.equal(settled.block.height, 2);
  const tick = () => peer.handle({ kind: 'timer', name: 'round' });
  tick();
  return { bus, peer, machine, settled, before: settled.parent as BlockRecord, tick };
}

/** A child of a block that nothing else says anything about. */
const childOf = (parent: BlockRecord, changes: Partial<BlockRecord['block']> = {}): BlockRecord => ({
  ...parent,
  parent,
  block: {
    ...parent.block,
    id: block(`child of ${parent.block.id}`),
    height: parent.block.height + 1,
    parent: parent.block.id,
    contributions: [],
    ...changes,
  },
});

const decideOn = (machine: Machine, record: BlockRecord): boolean => {
  machine.decided = [record];
  machine.applied = [record];
  return settle(machine);
};

test('extendDecided and settle take no block beside the final chain (G1)', () => {
  const { machine, before, settled } = afterTwoRounds();
  const fork = childOf(before);
  assert.throws(() => extendDecided(machine, fork, 9), /G1: what is decided continues the final chain/);
  const beside = childOf(settled, { parent: before.block.id });
  assert.throws(() => decideOn(machine, beside), /G1: a final block continues the final chain/);
  const child = childOf(settled);
  assert.equal(decideOn(machine, child), true);
  assert.ok(isSameBlock(machine.settled, child));
});

test('settle and signVote take no root that this peer has not computed (G2)', () => {
  const { machine, settled } = afterTwoRounds();
  assert.throws(() => decideOn(machine, { ...childOf(settled), root: 'unknown' }), /G2: what is final here/);
  assert.throws(() => decideOn(machine, { ...childOf(settled), root: 'different' }), /G2/);
  const child: BlockRecord = { ...childOf(settled), root: 'unknown' };
  machine.records.set(child.block.id, child);
  assert.throws(() => signVote(machine, 'notarize', 0, child.block.id), /G2: a vote is for a root/);
  child.root = 'equal';
  assert.equal(signVote(machine, 'notarize', machine.view, child.block.id).vote.block, child.block.id);
});

test('handle leaves no peer without a time at which it speaks again (G3)', () => {
  const { machine, tick } = afterTwoRounds();
  const { timers } = machine;
  const set = timers.set.bind(timers);
  timers.set = (name, at) => (name === 'rebroadcast' ? timers : set(name, at));
  timers.delete('rebroadcast');
  assert.throws(tick, /G3: who waits will speak again/);
});

test('settle takes no work twice (G4)', () => {
  const { machine, settled } = afterTwoRounds();
  const [again] = settled.block.contributions;
  assert.ok(again);
  const twice = childOf(settled, { contributions: [again] });
  assert.throws(() => decideOn(machine, twice), /G4: no work is certified twice/);
  const other = { ...again, cid: block('announced again') };
  assert.throws(() => decideOn(machine, childOf(settled, { contributions: [other] })), /G4/);
});

test('settleOwn drops own work only certified or expired (G4)', () => {
  const { machine, settled } = afterTwoRounds();
  const announcement = settled.announcements.find(
    ({ contribution }) => contribution.author === machine.init.self,
  );
  assert.ok(announcement);
  const { bytes } = announcement;
  const contribution = { ...announcement.contribution, blob: block('delta'), base: block('gone') };
  const own = { contribution, bytes, expired: false };
  machine.own.contributions.set(9, own);
  machine.applied = [childOf(settled, { contributions: [contribution] })];
  assert.throws(() => settleOwn(machine), /G4: own work is certified, or stays in the local parameters/);
  machine.applied = [];
  settleOwn(machine);
  assert.equal(machine.own.contributions.has(9), false);
  assert.ok(own.expired);
});

test('keepEvidence convicts nobody by statements that do not conflict (G5)', () => {
  const { machine, bus } = afterTwoRounds();
  const { peer, components } = (bus.peers[1] as BusPeer).key;
  const { runDigest } = machine.rules;
  const place = { epoch: 0, opened: machine.genesis.next.opened, view: 40, voter: peer };
  const deed = (choice: 'skip' | 'notarize', name?: string) => {
    const body = voteBody(runDigest, { ...place, choice, block: name ? block(name) : undefined });
    return deedOf({ kind: 'vote', body, signature: components.sign(encodeCbor(body)) });
  };
  const honest = createEvidence(deed('notarize', 'one'), deed('skip'), undefined);
  assert.throws(() => keepEvidence(machine, honest), /G5: only what conflicts convicts/);
  keepEvidence(machine, createEvidence(deed('notarize', 'one'), deed('notarize', 'two'), undefined));
  assert.equal(machine.evidence.size, 1);
});

test('handle and keepAtMost hold every collection to its maximum (G6)', () => {
  const { machine, tick } = afterTwoRounds();
  for (let count = 0; count <= requestsMax; count++)
    machine.changes.set(`earned/${count}`, {
      change: { kind: 'earned', peer: createKey(1).peer } as never,
      statement: new Uint8Array(),
    });
  assert.throws(tick, /G6: at most 64 changes that wait for a block, got 65/);
  const stubborn = new Map([[1, 1]]);
  stubborn.delete = () => false;
  assert.throws(() => keepAtMost(stubborn, 0), /G6/);
});

test('handle leaves no peer behind that has not asked and will not ask (G7)', () => {
  const { machine, tick, bus } = afterTwoRounds();
  const place = { life: 0, count: 1, epoch: 0, view: 9, head: 9, final: 9, block: block('nine') };
  const claim = { ...place, holds: [], failures: 1 };
  const { now } = machine;
  for (const { key } of bus.peers.slice(1))
    machine.peers.set(key.peer, { ...claim, retryAt: now + 5_000, heardAt: now });
  tick();
  assert.ok(machine.timers.has('sync'));
  const { timers } = machine;
  const set = timers.set.bind(timers);
  timers.set = (name, at) => (name === 'sync' ? timers : set(name, at));
  timers.delete('sync');
  assert.throws(tick, /G7: who is behind catches up/);
});

/** A vote for a view that stalled, and the newest block once as one of a recovery and once as what adopts that. */
function inRecovery() {
  const { machine, settled } = afterTwoRounds();
  signVote(machine, 'skip', machine.view + 7, undefined);
  const [key] = machine.own.votes.keys();
  const state = { ...settled.state, epoch: settled.state.epoch + 1 };
  const adopted: BlockRecord = { ...settled, state, block: { ...settled.block, epoch: state.epoch } };
  const provisional: BlockRecord = { ...adopted, fork: settled };
  return { machine, key, adopted, provisional };
}

test('retainSignatures keeps votes of an epoch that stalled until its adoption is stored (G8)', () => {
  const { machine, key, adopted, provisional } = inRecovery();
  machine.settled = provisional;
  retainSignatures(machine);
  assert.deepEqual([...machine.own.votes.keys()], [key]);
  machine.settled = adopted;
  retainSignatures(machine);
  assert.equal(machine.own.votes.size, 0);
});

test('sweep stores votes of an epoch that stalled not once for each block of its recovery (G6)', () => {
  const { machine, key, provisional } = inRecovery();
  machine.settled = provisional;
  machine.out.persist.length = 0;
  for (let count = 0; count < 5; count++) assert.ok(decideOn(machine, childOf(machine.settled)));
  assert.deepEqual(machine.out.persist, []);
  assert.deepEqual(machine.out.forget, [], 'what is not forgotten needs not be stored again');
  assert.deepEqual([...machine.own.votes.keys()], [key]);
  const { fork, ...regular } = childOf(machine.settled);
  assert.ok(fork && decideOn(machine, { ...regular, fork: undefined }));
  assert.equal(machine.out.forget.length, 1);
  assert.equal(machine.own.votes.size, 0);
});

test('settle leaves out no height, and nothing contradicts what was signed (G8)', () => {
  const { machine, settled } = afterTwoRounds();
  const far = childOf(childOf(settled));
  assert.throws(() => decideOn(machine, far), /G8: no final block is left out/);
  const view = machine.view + 7;
  signVote(machine, 'skip', view, undefined);
  assert.throws(() => signVote(machine, 'skip', view, undefined), /G8: a vote contradicts nothing/);
  assert.throws(() => signVote(machine, 'finalize', view, settled.block.id), /G8/);
  signVote(machine, 'finalize', view + 1, settled.block.id);
  assert.throws(() => signVote(machine, 'skip', view + 1, undefined), /G8/);
  const proposal = {
    ...machine.settled.next,
    view,
    after: view - 1,
    block: settled.block.id,
    headerBytes: settled.headerBytes,
    contributions: [],
    proposer: machine.init.self,
  };
  signProposal(machine, proposal, new Uint8Array());
  assert.throws(() => signProposal(machine, proposal, new Uint8Array()), /G8: a proposal is the only one/);
});
