import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeCbor, runDigest, runIdOf, sha256 } from '@murmuration/base';
import { type Effect, genesisBlockId, type Report, type VoteKey } from '@murmuration/protocol';
import type { Rules } from '../src/block-record.ts';
import { checkCertificate } from '../src/certificate.ts';
import { type Change, checkChanges, decodeChange, encodeChange } from '../src/change.ts';
import { rekeyEvery } from '../src/defaults.ts';
import { decodeEntry } from '../src/ledger-entry.ts';
import { genesisState, type Member } from '../src/ledger-state.ts';
import { encodeRekey, parseRekey } from '../src/request.ts';
import { signedBytes } from '../src/signing.ts';
import { encodeMessage } from '../src/statement.ts';
import { voteBody } from '../src/vote.ts';
import { type Bus, type BusPeer, createBus, createKey, createRun, type Key } from './harness.ts';

const reportsOf = (effects: readonly Effect[]): readonly Report[] =>
  effects.flatMap((effect) => (effect.kind === 'report' ? [effect.report] : []));
const hasForgotten = (peer: BusPeer): boolean =>
  reportsOf(peer.effects).some(({ kind }) => kind === 'forgotten');

interface Said {
  readonly kind: string;
  readonly body: { readonly voter?: string };
  readonly rekey?: Uint8Array;
}
const saidIn = (effects: readonly Effect[]): readonly Said[] =>
  effects
    .flatMap((effect) => (effect.kind === 'publish' ? (decodeCbor(effect.bytes) as Uint8Array[]) : []))
    .map((bytes) => decodeCbor(bytes) as Said);
const votesIn = (effects: readonly Effect[]): readonly Said[] =>
  saidIn(effects).filter(({ kind }) => kind === 'vote');

const newKey = (index: number): VoteKey => {
  const { peer, components } = createKey(index);
  return { key: peer, sign: components.sign };
};

function closeRounds(bus: Bus, rounds = 3): void {
  for (let round = 0; round < rounds; round++) {
    bus.round();
    bus.wait(20_000);
  }
}

test('a member that hears votes of its own that it does not know stops voting and says so (G5, G8)', () => {
  const bus = createBus({ members: 4, run: { rounds: 8 } });
  const peer = bus.peers[1] as BusPeer;
  const backup = [...peer.records.values()];
  const hasVoted = ({ records }: BusPeer): boolean =>
    [...records.keys()].some((key) => key.startsWith('vote/'));
  bus.drops = (from) => bus.peers.indexOf(from) > 1 && hasVoted(from);
  bus.round();
  assert.ok(votesIn(peer.effects).length > 0);
  assert.equal(peer.replica.view.view, 0);
  bus.drops = (from) => bus.peers.indexOf(from) > 1;
  peer.restart({ records: backup, ledger: [] });
  const from = peer.effects.length;
  bus.wait(600);
  assert.equal(hasForgotten(peer), true);
  assert.deepEqual(
    [...peer.records.keys()].filter((key) => key === 'forgotten'),
    ['forgotten'],
  );
  const after = peer.effects.findLastIndex(
    (effect) => effect.kind === 'report' && effect.report.kind === 'forgotten',
  );
  bus.drops = () => false;
  closeRounds(bus);
  const own = votesIn(peer.effects.slice(Math.max(from, after))).filter(
    ({ body }) => body.voter === peer.key.peer,
  );
  assert.equal(own.length, 0);
  for (const other of bus.peers)
    assert.deepEqual(
      [...other.records.keys()].filter((key) => key.startsWith('evidence/')),
      [],
    );
});

test('a member forgets for good: a restart by the same key does not vote either', () => {
  const bus = createBus({ members: 4, run: { rounds: 8 } });
  const peer = bus.peers[1] as BusPeer;
  const before = [...peer.records.values()];
  bus.round();
  const votes = peer.effects.flatMap((effect) =>
    effect.kind === 'persist' && effect.record.key.startsWith('vote/') ? [effect.record.bytes] : [],
  );
  assert.ok(votes.length > 0);
  bus.drops = () => true;
  peer.restart({ records: before, ledger: [] });
  const bytes = encodeMessage(votes.slice(0, 1));
  peer.handle({ kind: 'message', from: createKey(50).peer, bytes });
  assert.equal(hasForgotten(peer), true);
  const records = [...peer.records.values()];
  const effects = peer.restart({ records, ledger: [] });
  assert.deepEqual(
    reportsOf(effects).filter(({ kind }) => kind === 'forgotten'),
    [{ kind: 'forgotten', key: peer.key.peer }],
  );
  const renewed = peer.restart({ records, ledger: [], voteKey: newKey(31) });
  assert.ok(!reportsOf(renewed).some(({ kind }) => kind === 'forgotten'));
});

test('a member that remembers all its votes is not alarmed when they come back (G5)', () => {
  const bus = createBus({ members: 4, run: { rounds: 8 } });
  const peer = bus.peers[1] as BusPeer;
  for (let round = 0; round < 3; round++) {
    bus.round();
    for (const { bytes } of peer.effects.filter((effect) => effect.kind === 'publish'))
      peer.handle({ kind: 'message', from: createKey(50).peer, bytes });
    bus.wait(1_000);
    peer.restart();
    bus.wait(3_000);
  }
  assert.equal(hasForgotten(peer), false);
  assert.ok(peer.replica.view.final.height >= 2);
});

for (const [members, quorum, atOnce] of [
  [1, 'crash', true],
  [2, 'crash', true],
  [3, 'crash', false],
  [4, 'crash', true],
  [3, 'byzantine', true],
  [4, 'byzantine', false],
] as const)
  test(`a member with a new key votes ${atOnce ? 'at once' : 'once the ledger knows it'} among ${members} in a ${quorum} run (G3)`, () => {
    const bus = createBus({ members, run: { rounds: 8, quorum } });
    closeRounds(bus, 1);
    const peer = bus.peers[members - 1] as BusPeer;
    const reached = peer.replica.view.final.height;
    assert.ok(reached > 0);
    const voteKey = newKey(31);
    peer.restart({ voteKey });
    const from = peer.effects.length;
    closeRounds(bus, 4);
    assert.ok(peer.replica.view.final.height > reached + 1, `${peer.replica.view.final.height}`);
    const votes = votesIn(peer.effects.slice(from));
    assert.ok(votes.length > 0);
    assert.equal(
      votes.some(({ rekey }) => rekey !== undefined),
      atOnce,
    );
    assert.equal(votes.at(-1)?.rekey, undefined, 'the ledger knows the key by now');
    const entries = peer.ledger.map(({ bytes }) =>
      decodeEntry(bytes, new Uint8Array(decodeRun(bytes)), peer.key.components.hash),
    );
    const kinds = entries.flatMap(({ header }) =>
      header.changes.map((bytes) => (decodeCbor(bytes) as { kind: string }).kind),
    );
    assert.deepEqual(kinds, ['rekey']);
    const withNewKey = entries.filter(({ certificate }) => (certificate?.rekeys.length ?? 0) > 0);
    if (members <= 2) assert.ok(withNewKey.length > 0);
    if (!atOnce) assert.equal(withNewKey.length, 0);
    for (const other of bus.peers) {
      assert.equal(hasForgotten(other), false);
      assert.ok(![...other.records.keys()].some((key) => key.startsWith('evidence/')));
    }
  });

const decodeRun = (entry: Uint8Array): Uint8Array => {
  const { header } = decodeCbor(entry) as { header: Uint8Array };
  return (decodeCbor(header) as { run: Uint8Array }).run;
};

test('checkCertificate takes new keys only where two quorums still share a voter that remembers (G1)', () => {
  for (const [members, quorum, allowed] of [
    [1, 'crash', 1],
    [2, 'crash', 1],
    [3, 'crash', 0],
    [4, 'crash', 1],
    [5, 'crash', 0],
    [3, 'byzantine', 2],
    [4, 'byzantine', 0],
    [5, 'byzantine', 1],
    [7, 'byzantine', 0],
  ] as const) {
    const keys = Array.from({ length: members }, (_, index) => createKey(index + 1));
    const run = createRun(
      keys.map(({ peer }) => peer),
      { quorum },
    );
    const runId = runIdOf(run);
    const rules = { run, runDigest: runDigest(runId), verify: createKey(1).components.verify };
    const vote = {
      epoch: 0,
      opened: genesisBlockId(runId),
      view: 0,
      choice: 'skip',
      block: undefined,
    } as const;
    for (let renewed = 0; renewed <= members; renewed++) {
      const voteKeys = keys.map((key, index) => (index < renewed ? createKey(index + 101) : key));
      const signatures = keys.map(({ peer }, index) =>
        (voteKeys[index] ?? createKey(1)).components.sign(
          signedBytes('vote', voteBody(rules.runDigest, { ...vote, voter: peer })),
        ),
      );
      const rekeys = keys
        .slice(0, renewed)
        .map(({ peer, components }, index) => {
          const voteKey = voteKeys[index] as Key;
          const terms = { run: rules.runDigest, peer, since: 0, renewed: 1, key: voteKey.peer };
          return parseRekey(encodeRekey(terms, components.sign, voteKey.components.sign));
        })
        .sort((a, b) => (a.peer < b.peer ? -1 : 1));
      const certificate = { ...vote, signers: keys.map((_, index) => index), signatures, rekeys };
      const problem = checkCertificate(certificate, rules, genesisState(run));
      assert.equal(problem === undefined, renewed <= allowed, `${members} ${quorum} ${renewed}: ${problem}`);
    }
  }
});

test('a newcomer verifies certificates by a key that the ledger did not know yet (G1)', () => {
  const bus = createBus({ members: 2, run: { rounds: 8 } });
  closeRounds(bus, 1);
  const [first, second] = bus.peers as [BusPeer, BusPeer];
  second.restart({ voteKey: newKey(31) });
  closeRounds(bus, 3);
  const { height, stateRoot } = first.replica.view.final;
  assert.ok(height > 2);
  second.restart({ records: [], ledger: [], voteKey: newKey(32) });
  bus.wait(20_000);
  assert.ok(second.replica.view.final.height >= height);
  if (second.replica.view.final.height === height)
    assert.deepEqual(second.replica.view.final.stateRoot, stateRoot);
});

test('two copies that run at once convict nobody: the older key gives way (G5)', () => {
  const bus = createBus({ members: 4, run: { rounds: 12 } });
  closeRounds(bus, 1);
  const [, original] = bus.peers as [BusPeer, BusPeer];
  const kept = { records: [...original.records.values()], ledger: [...original.ledger] };
  original.restart({ ...kept, voteKey: newKey(31) });
  closeRounds(bus, 2);
  assert.equal(original.replica.view.epoch, 1);
  const effects = original.restart(kept);
  closeRounds(bus, 1);
  const said = reportsOf([...effects, ...original.effects]);
  assert.ok(said.some((report) => report.kind === 'forgotten' && report.key === original.key.peer));
  for (const other of bus.peers)
    assert.ok(![...other.records.keys()].some((key) => key.startsWith('evidence/')));
});

test('checkChanges takes a renewal once in so many blocks, the first one at once', () => {
  const [owner, voteKey] = [createKey(1), createKey(31)];
  const run = createRun([owner.peer], { rounds: 60 });
  const runId = runIdOf(run);
  const rules: Rules = { run, runId, runDigest: runDigest(runId), ...owner.components };
  const [founder] = genesisState(run).members as [Member];
  const problemAt = (height: number, { renewed, keySince }: Pick<Member, 'renewed' | 'keySince'>) => {
    const terms = {
      run: rules.runDigest,
      peer: owner.peer,
      since: 0,
      renewed: renewed + 1,
      key: voteKey.peer,
    };
    const value = encodeRekey(terms, owner.components.sign, voteKey.components.sign);
    const change = decodeChange(encodeChange({ kind: 'rekey', value } as Change));
    const state = { ...genesisState(run), members: [{ ...founder, renewed, keySince }] };
    return checkChanges([change], rules, state, height);
  };
  assert.equal(problemAt(1, { renewed: 0, keySince: 0 }), undefined);
  assert.match(problemAt(10 + rekeyEvery - 1, { renewed: 1, keySince: 10 }) ?? '', /between renewals/);
  assert.equal(problemAt(10 + rekeyEvery, { renewed: 1, keySince: 10 }), undefined);
});

/** Heights of the blocks in which somebody renewed its key. */
const renewalsIn = (bus: Bus): number[] =>
  (bus.peers[0] as BusPeer).ledger.flatMap(({ height, bytes }) =>
    decodeEntry(bytes, runDigest(bus.runId), sha256)
      .header.changes.filter((change) => decodeChange(change).kind === 'rekey')
      .map(() => height),
  );

test('two live copies of a member take the vote from each other now and then, and the run goes on (G3)', () => {
  const rounds = 3 * rekeyEvery;
  const bus = createBus({ members: 5, run: { rounds: rounds + 20 } });
  closeRounds(bus, 2);
  const original = bus.peers[4] as BusPeer;
  const copy = bus.join(5);
  const kept = { records: [...original.records.values()], ledger: [...original.ledger] };
  copy.restart({ ...kept, voteKey: newKey(32) });
  const lives = new Map([original, copy].map((peer) => [peer, peer.effects.length]));
  const told: BusPeer[] = [];
  for (let round = 0; round < rounds; round++) {
    bus.round();
    bus.wait(3_000);
    for (const [peer, life] of lives) {
      if (!reportsOf(peer.effects.slice(life)).some(({ kind }) => kind === 'forgotten')) continue;
      told.push(peer);
      lives.set(peer, peer.effects.length);
      peer.restart({ voteKey: newKey(40 + told.length) });
    }
  }
  const renewals = renewalsIn(bus);
  assert.ok(renewals.length >= 3, `renewed in ${renewals}`);
  for (const [index, height] of renewals.slice(1).entries())
    assert.ok(height - (renewals[index] as number) >= rekeyEvery, `renewed in ${renewals}`);
  assert.deepEqual(
    told,
    renewals.map((_, index) => (index % 2 === 0 ? original : copy)),
  );
  assert.ok((bus.peers[0] as BusPeer).ledger.length >= rounds);
  assert.equal(bus.peers[0]?.replica.view.members.length, 5);
});
