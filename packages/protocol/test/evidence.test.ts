import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, encodeCbor, runDigest, runIdOf } from '@murmuration/base';
import { genesisBlockId } from '@murmuration/protocol';
import fc from 'fast-check';
import { checkChanges } from '../src/change.ts';
import {
  checkEvidence,
  conflict,
  createEvidence,
  type Deed,
  deedOf,
  parseEvidence,
} from '../src/evidence.ts';
import { createInvitation, signInvitation } from '../src/invitation.ts';
import { genesisState, nextState } from '../src/ledger-state.ts';
import { changeOf } from '../src/pending-changes.ts';
import { encodeRekey, parseRekey } from '../src/request.ts';
import { signedBytes } from '../src/signing.ts';
import { createKey, createRun, type Key } from './harness.ts';

const [alice, bob, vote1, vote2] = [1, 2, 11, 12].map(createKey) as [Key, Key, Key, Key];
const run = createRun([alice.peer, bob.peer]);
const runId = runIdOf(run);
const digest = runDigest(runId);
const { verify, hash } = alice.components;
const rules = { run, runId, runDigest: digest, hash, verify };
const genesis = genesisBlockId(runId);
const names = ['one', 'two'].map((name) => cidOf(encodeCbor(name), 'dag-cbor'));
const renewal = (of: Key, by: Key) => {
  const terms = { run: digest, peer: of.peer, since: 0, renewed: 1, key: by.peer };
  return parseRekey(encodeRekey(terms, of.components.sign, by.components.sign));
};

/** What somebody says in somebody's name, and the key it signs with. */
interface Saying {
  readonly run: Uint8Array;
  readonly epoch: number;
  readonly opened: string;
  readonly view: number;
  readonly act: 'notarize' | 'skip' | 'finalize' | 'propose';
  readonly block: string;
  readonly peer: string;
  readonly by: Key;
}

function say({ act, block, peer, by, ...place }: Saying): Deed {
  const body =
    act === 'propose'
      ? { ...place, after: -1, block, names: new Uint8Array(32), proposer: peer }
      : { ...place, choice: act, block: act === 'skip' ? null : block, voter: peer };
  const kind = act === 'propose' ? 'proposal' : 'vote';
  return deedOf({ kind, body, signature: by.components.sign(signedBytes(kind, body)) });
}

const base: Saying = {
  run: digest,
  epoch: 0,
  opened: genesis,
  view: 3,
  act: 'notarize',
  block: names[0] as string,
  peer: alice.peer,
  by: alice,
};
const saying: fc.Arbitrary<Saying> = fc.record({
  run: fc.constantFrom(digest, digest, digest, new Uint8Array(32)),
  epoch: fc.constantFrom(0, 0, 0, 1),
  opened: fc.constantFrom(genesis, genesis, genesis, names[0] as string),
  view: fc.constantFrom(3, 3, 3, 4),
  act: fc.constantFrom('notarize', 'skip', 'finalize', 'propose'),
  block: fc.constantFrom(...names),
  peer: fc.constantFrom(alice.peer, alice.peer, alice.peer, bob.peer),
  by: fc.constantFrom(alice, alice, alice, bob, vote1, vote1, vote2),
});

const respects = Object.keys(base) as (keyof Saying)[];

/** Two that differ in a few respects: `second` has some fields of its own and the rest from `first`. */
const pair = fc
  .tuple(
    saying,
    saying,
    fc.oneof(
      fc.subarray(respects, { maxLength: 2 }),
      fc.subarray(respects.filter((each) => each === 'block' || each === 'act')),
    ),
  )
  .map(([first, other, fields]) => {
    const second = Object.fromEntries(fields.map((field) => [field, other[field]]));
    return [first, { ...first, ...second }] as const;
  });

/** PROTOCOL.md's words, written a second time: whether an honest peer never signs both. */
function contradicts(a: Saying, b: Saying): boolean {
  const places = [a, b].map(({ run: of, epoch, opened, view, peer }) =>
    [Buffer.from(of).toString('hex'), epoch, opened, view, peer].join(),
  );
  if (places[0] !== places[1]) return false;
  const acts = [a.act, b.act].sort().join();
  return (
    acts === 'finalize,skip' ||
    (['propose,propose', 'notarize,notarize', 'finalize,finalize'].includes(acts) && a.block !== b.block)
  );
}

/** Whoever may have made a vote key of somebody: the keys themselves are all willing. */
const rekeys = [undefined, undefined, renewal(alice, vote1), renewal(alice, vote2), renewal(bob, vote1)];

test('evidence convicts exactly who signed two conflicting statements by one key of its own (G5)', () => {
  const seen = { convicted: 0, byRenewedKey: 0, acquitted: 0 };
  fc.assert(
    fc.property(pair, fc.constantFrom(...rekeys), ([a, b], rekey) => {
      const key = rekey?.key ?? a.peer;
      const isOwnKey = rekey === undefined || rekey.peer === a.peer;
      const isSigned = a.by.peer === key && b.by.peer === key;
      const isOurs = Buffer.from(a.run).equals(digest);
      const expected = contradicts(a, b) && isOwnKey && isSigned && isOurs;
      const evidence = createEvidence(say(a), say(b), rekey);
      let found: string | undefined;
      try {
        found = checkEvidence(parseEvidence(evidence.bytes), rules);
      } catch (error) {
        found = (error as Error).message;
      }
      assert.equal(found === undefined, expected, found);
      if (expected) seen.convicted++;
      if (expected && rekey) seen.byRenewedKey++;
      if (!expected) seen.acquitted++;
    }),
    { numRuns: 9_000 },
  );
  assert.ok(seen.convicted > 30 && seen.byRenewedKey > 10 && seen.acquitted > 1_000, JSON.stringify(seen));
});

const other: Saying = { ...base, block: names[1] as string };

test('createEvidence makes the same bytes in either order, and parseEvidence refuses the wrong one', () => {
  const [a, b] = [say(base), say(other)];
  const { bytes } = createEvidence(a, b, undefined);
  assert.deepEqual(createEvidence(b, a, undefined).bytes, bytes);
  const { first, second } = parseEvidence(bytes);
  assert.deepEqual([first.what, second.what].sort(), [...names].sort());
  const read = (deed: Deed) => Buffer.from(deed.bytes);
  assert.ok(Buffer.compare(read(first), read(second)) < 0);
});

test('parseEvidence and checkEvidence refuse evidence with any bit flipped (G5)', () => {
  const { bytes } = createEvidence(say(base), say(other), renewal(alice, vote1));
  const good = createEvidence(
    say({ ...base, by: vote1 }),
    say({ ...other, by: vote1 }),
    renewal(alice, vote1),
  ).bytes;
  const convicts = (candidate: Uint8Array): boolean => {
    try {
      return checkEvidence(parseEvidence(candidate), rules) === undefined;
    } catch {
      return false;
    }
  };
  assert.equal(convicts(good), true);
  assert.equal(convicts(bytes), false, 'signed by the old key, shown with the new one');
  for (let index = 0; index < good.length; index++) {
    const flipped = good.slice();
    flipped[index] = (flipped[index] as number) ^ (1 << (index % 8));
    assert.equal(convicts(flipped), false, `byte ${index}`);
  }
});

test('parseEvidence refuses two statements that conflict but for run, epoch, opening, view or signer (G5)', () => {
  const elsewhere: readonly Partial<Saying>[] = [
    { run: new Uint8Array(32) },
    { epoch: 1 },
    { opened: names[0] as string },
    { view: 4 },
    { peer: bob.peer, by: bob },
  ];
  for (const [a, b] of elsewhere.flatMap((change) => [
    [base, { ...other, ...change }] as const,
    [{ ...base, ...change }, other] as const,
  ])) {
    const { bytes } = createEvidence(say(a), say(b), undefined);
    assert.throws(() => parseEvidence(bytes), /two conflicting statements/);
  }
});

test('conflict is no matter of order', () => {
  fc.assert(
    fc.property(saying, saying, (a, b) => conflict(say(a), say(b)) === conflict(say(b), say(a))),
    {
      numRuns: 300,
    },
  );
});

test('checkChanges convicts a member once, and admits it never again (G5)', () => {
  const convict = changeOf('convict', createEvidence(say(base), say(other), undefined).bytes);
  const before = genesisState(run);
  assert.equal(checkChanges([convict], rules, before, 1), undefined);
  const after = nextState(run, before, 1, [], [convict]);
  assert.deepEqual(after.convicted, [alice.peer]);
  assert.deepEqual(
    after.members.map(({ peer }) => peer),
    [bob.peer],
  );
  assert.deepEqual(after.voters, [bob.peer]);
  assert.equal(after.epoch, 1);
  assert.match(checkChanges([convict], rules, after, 2) ?? '', /no member/);
  const terms = createInvitation({ runId, guest: alice.peer, role: 'member', expires: 9, uses: 1 });
  const invitation = changeOf('admit', signInvitation(terms, bob.peer, bob.components.sign));
  assert.match(checkChanges([invitation], rules, after, 2) ?? '', /convicted/);
});

test('checkChanges leaves the last member, whatever it signed', () => {
  const alone = createRun([alice.peer]);
  const aloneId = runIdOf(alone);
  const place = { run: runDigest(aloneId), opened: genesisBlockId(aloneId) };
  const bytes = createEvidence(say({ ...base, ...place }), say({ ...other, ...place }), undefined).bytes;
  const aloneRules = { ...rules, run: alone, runId: aloneId, runDigest: place.run };
  const problem = checkChanges([changeOf('convict', bytes)], aloneRules, genesisState(alone), 1);
  assert.match(problem ?? '', /no member/);
});
