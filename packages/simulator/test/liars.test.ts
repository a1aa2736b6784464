import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calm, type Lie, type Outcome, type Scenario, simulate } from '@murmuration/simulator';

/** A liar that does nothing would pass every scenario: each kind must leave a trace in the outcome. */
const scenario: Scenario = { ...calm, seed: 'lies', quorum: 'byzantine', rounds: 5 };
const honest = simulate(scenario);
const withLie = (lie: Lie, changes: Partial<Scenario> = {}): Outcome =>
  simulate({ ...scenario, ...changes, liars: [{ peer: 1, lies: [lie] }] });
const received = ({ peers }: Outcome): number => peers[0]?.messagesReceived ?? 0;

const served = ({ peers }: Outcome): number => peers[1]?.servedBytes ?? 0;

const effects: readonly (readonly [Lie, (outcome: Outcome) => boolean])[] = [
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
  [{ kind: 'withhold-blobs' }, (outcome) => served(honest) > 0 && served(outcome) === 0],
  [
    { kind: 'withhold-blobs', only: 2 },
    (outcome) => served(outcome) > 0 && served(outcome) < served(honest) / 2,
  ],
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
  [
    { kind: 'replay', perSecond: 50, what: 'presences' },
    (outcome) => received(outcome) > received(honest) + 100,
  ],
  [{ kind: 'vote-unseen' }, ({ elapsedMs }) => elapsedMs !== honest.elapsedMs],
  [
    { kind: 'false-heights', by: 4 },
    ({ performed }) => honest.performed.sync === undefined && (performed.sync ?? 0) > 0,
  ],
];

for (const [lie, isFelt] of effects)
  test(`simulate bears a liar and feels it: ${Object.values(lie).join(' ')}`, () => {
    const outcome = withLie(lie);
    assert.deepEqual(outcome.problems, []);
    assert.ok(isFelt(outcome), JSON.stringify({ ...outcome, scenario: undefined, peers: undefined }));
  });

test('simulate goes on above the notarized one of two proposals by a proposer that is gone (G3)', () => {
  const outcome = withLie(
    { kind: 'twin', side: [0, 2] },
    { seed: 'twins 32', rounds: 2, gossip: { degree: 8 }, latency: [50, 600], loss: 0.02, limitMs: 900_000 },
  );
  assert.deepEqual(outcome.problems, []);
  assert.ok(outcome.skippedViews > 0);
});

test('simulate bears twins and feels them: they sign two of something, and are convicted (G5)', () => {
  const slow: Partial<Scenario> = { gossip: { degree: 8 }, latency: [50, 600], loss: 0.02, rounds: 12 };
  const outcomes = Array.from({ length: 6 }, (_, seed) =>
    withLie({ kind: 'twin', side: [0, 2] }, { ...slow, seed: `twins ${seed}` }),
  );
  for (const { problems } of outcomes) assert.deepEqual(problems, []);
  assert.ok(outcomes.some(({ convictionsDue, convicted }) => convictionsDue > 0 && convicted.includes(1)));
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
