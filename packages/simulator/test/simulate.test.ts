import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calm, type Scenario, simulate } from '@murmuration/simulator';
import { expectSound } from './expect-sound.ts';

const stormy: Scenario = {
  ...calm,
  seed: 'twice',
  members: 5,
  quorum: 'byzantine',
  loss: 0.1,
  rounds: 4,
  guests: [{ atMs: 700, uninvited: true }],
  latency: { medianMs: 40, sigma: 1 },
  traits: { 0: { driftPpm: 20_000, uplinkBytesPerSecond: 2_000 }, 2: { slowMs: 50, trainFactor: 2 } },
  faults: [{ kind: 'crashes', peers: [2], everyEffects: [30, 90], times: 3, down: [100, 900] }],
  liars: [{ peer: 1, lies: [{ kind: 'twin', side: [0, 2] }] }],
};

test('simulate gives equal outcomes for equal scenarios', () => {
  assert.deepEqual(simulate(stormy), simulate(stormy));
  assert.notDeepEqual(simulate(stormy).finalAtMs, simulate({ ...stormy, seed: 'other' }).finalAtMs);
});

test('simulate is not changed by being traced', () => {
  const { happenings, ...traced } = simulate(stormy, { isTraced: true });
  const { happenings: none, ...plain } = simulate(stormy);
  assert.deepEqual(traced, plain);
  assert.ok(happenings.length > 100);
  assert.equal(none.length, 0);
});

test('simulate trains: the common model comes near to what everybody wants', () => {
  const [before, after] = expectSound({ ...calm, seed: 'training', rounds: 12 }).distance;
  assert.ok(after < before / 10, `${before} before, ${after} after`);
});

test('simulate certifies all that is trained in a calm network (G4)', () => {
  const { tokensTrained, tokensCertified, expired } = expectSound({ ...calm, seed: 'goodput' });
  assert.ok(tokensCertified > 20_000);
  assert.equal(tokensCertified, tokensTrained);
  assert.equal(expired, 0);
});

test('simulate gives a slow member its turn again after it was away (G3)', () => {
  const scenario = { ...calm, seed: 'slow', rounds: 40, traits: { 3: { slowMs: 120 } } };
  const faults = [{ kind: 'partition' as const, side: [3], fromMs: 4_000, untilMs: 9_000 }];
  const { skippedViews } = expectSound({ ...scenario, faults });
  assert.ok(skippedViews <= 3, `${skippedViews} views were skipped`);
});

test('simulate closes a calm round within a second and one message per statement kind', () => {
  const { elapsedMs, peers, skippedViews, commitMs } = expectSound({ ...calm, seed: 'speed', rounds: 10 });
  assert.ok(elapsedMs < 10 * 1_000, `${elapsedMs} ms for ten rounds`);
  assert.equal(skippedViews, 0);
  assert.equal(commitMs.length, 10);
  assert.ok(Math.max(...commitMs) < 500, `${Math.max(...commitMs)} ms to certify`);
  for (const { published } of peers) assert.ok(published <= 10 * 5, `${published} messages`);
});

test('simulate counts every copy: one of each message among all, one per neighbour in a mesh', () => {
  const scenario: Scenario = { ...calm, seed: 'traffic', members: 24, rounds: 2, training: [300, 400] };
  const copiesIn = (gossip: Scenario['gossip']): number[] => {
    const { peers } = expectSound({ ...scenario, gossip });
    const all = peers.reduce((sum, { published }) => sum + published, 0);
    return peers.map(({ messagesReceived, published }) => messagesReceived / (all - published));
  };
  for (const copies of copiesIn('full')) assert.ok(copies > 0.85 && copies <= 1, `${copies} in full`);
  for (const degree of [4, 8])
    for (const copies of copiesIn({ degree }))
      assert.ok(copies > degree / 2 && copies < 1.4 * degree, `${copies} at degree ${degree}`);
});

test('simulate says what is missing when the time is too short (G3)', () => {
  const { problems } = simulate({ ...calm, limitMs: 1_000 });
  assert.equal(problems.length, 4);
  assert.match(problems[0] ?? '', /^G3: peer 0 has not ended: running, final [01], head 1/);
});

test('simulate replaces guests that leave, and the rounds go on', () => {
  const { peers, performed } = expectSound({
    ...calm,
    seed: 'churn',
    rounds: 8,
    guests: Array.from({ length: 6 }, (_, index) => ({ atMs: 100 * index, uninvited: true })),
    churn: [{ who: 'guests', share: 0.3 }],
  });
  const gone = peers.filter(({ phase }) => phase === 'down');
  assert.ok(gone.length >= 4, `${gone.length} left`);
  assert.equal(peers.length, 10 + gone.length);
  assert.ok(performed.sync);
});
