import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calm, type Lie, type Outcome, type Scenario, simulate } from '@murmuration/simulator';

/** A liar that does nothing would pass every scenario: each kind must leave a trace in the outcome. */
const scenario: Scenario = { ...calm, seed: 'lies', quorum: 'byzantine', rounds: 5 };
const honest = simulate(scenario);
const withLie = (lie: Lie, changes: Partial<Scenario> = {}): Outcome =>
  simulate({ ...scenario, ...changes, liars: [{ peer: 1, lies: [lie] }] });
const received = ({ peers }: Outcome): number => peers[0]?.messagesReceived ?? 0;

const effects: readonly (readonly [Lie, (outcome: Outcome) => boolean])[] = [
  [{ kind: 'twin', side: [0, 2] }, ({ peers }) => peers.filter(({ index }) => index === 1).length === 2],
  [{ kind: 'equivocate', what: 'proposal' }, ({ elapsedMs }) => elapsedMs !== honest.elapsedMs],
  [{ kind: 'equivocate', what: 'notarize' }, ({ elapsedMs }) => elapsedMs !== honest.elapsedMs],
  [
    { kind: 'equivocate', what: 'finality' },
    ({ peers }) => peers[3]?.bytesReceived !== honest.peers[3]?.bytesReceived,
  ],
  [
    { kind: 'withhold-votes', choices: ['notarize', 'skip', 'finalize'] },
    (outcome) => received(outcome) < received(honest),
  ],
  [{ kind: 'withhold-blobs' }, ({ peers }) => peers[1]?.servedBytes === 0],
  [{ kind: 'withhold-blobs', only: 2 }, ({ peers }) => (peers[1]?.servedBytes ?? 0) > 0],
  [{ kind: 'withhold-blobs', afterMs: 4_000 }, ({ elapsedMs }) => elapsedMs > honest.elapsedMs + 1_000],
  [{ kind: 'rubbish', what: 'root' }, ({ skippedViews }) => skippedViews > 0],
  [{ kind: 'rubbish', what: 'tensors' }, ({ skippedViews }) => skippedViews > 0],
  [{ kind: 'rubbish', what: 'list' }, ({ skippedViews }) => skippedViews > 0],
  [{ kind: 'rubbish', what: 'unsorted' }, ({ skippedViews }) => skippedViews > 0],
  [{ kind: 'bad-delta', what: 'norm' }, ({ elapsedMs }) => elapsedMs > honest.elapsedMs + 1_000],
  [{ kind: 'bad-delta', what: 'copied' }, ({ elapsedMs }) => elapsedMs > honest.elapsedMs + 1_000],
  [{ kind: 'censor', victims: [2] }, ({ elapsedMs }) => elapsedMs > honest.elapsedMs],
  [{ kind: 'spam', perSecond: 50 }, (outcome) => received(outcome) > received(honest) + 100],
  [
    { kind: 'phantoms', perSecond: 50, identities: 9 },
    (outcome) => received(outcome) > received(honest) + 100,
  ],
  [{ kind: 'replay', perSecond: 50 }, (outcome) => received(outcome) > received(honest) + 100],
  [{ kind: 'vote-unseen' }, ({ elapsedMs }) => elapsedMs !== honest.elapsedMs],
  [{ kind: 'false-heights', by: 4 }, ({ performed }) => (performed.sync ?? 0) > 0],
];

for (const [lie, isFelt] of effects)
  test(`simulate bears a liar and feels it: ${Object.values(lie).join(' ')}`, () => {
    const outcome = withLie(lie);
    assert.deepEqual(outcome.problems, []);
    assert.ok(isFelt(outcome), JSON.stringify({ ...outcome, scenario: undefined, peers: undefined }));
  });

test('simulate bears a liar and feels it: unjustified proposals after skipped views', () => {
  const slow: Partial<Scenario> = { latency: [50, 900], loss: 0.05, rounds: 8 };
  const { problems, elapsedMs } = withLie({ kind: 'rubbish', what: 'unjustified' }, slow);
  assert.deepEqual(problems, []);
  assert.notEqual(elapsedMs, simulate({ ...scenario, ...slow }).elapsedMs);
});

test('simulate bears a false ledger: the newcomer takes it from others', () => {
  const late: Partial<Scenario> = { rounds: 8, guests: [{ atMs: 3_000 }] };
  const { problems, peers } = simulate({
    ...scenario,
    ...late,
    liars: [{ peer: 1, lies: [{ kind: 'fork-ledger' }, { kind: 'false-heights', by: 1 }] }],
  });
  assert.deepEqual(problems, []);
  assert.equal(peers[4]?.stateRoot, peers[0]?.stateRoot);
});
