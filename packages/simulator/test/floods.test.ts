import assert from 'node:assert/strict';
import { test } from 'node:test';
import { calm, type Lie, type Outcome, type Scenario } from '@murmuration/simulator';
import { expectSound } from './expect-sound.ts';

const members = 6;
const rounds = 6;
const seeds = 2;
/** Far above what the strangers' bucket of signature checks allows. */
const perSecond = 60;

/** Members on slow lines; peer 6 is a stranger that makes identities. */
const scenario: Scenario = {
  ...calm,
  members,
  rounds,
  quorum: 'byzantine',
  guests: [{ atMs: 0, uninvited: true }],
  traits: Object.fromEntries(
    Array.from({ length: members }, (_, peer) => [peer, { uplinkBytesPerSecond: 4_000 }]),
  ),
};

const run = (lie: Lie): Outcome[] =>
  Array.from({ length: seeds }, (_, seed) =>
    expectSound({ ...scenario, seed: `flood ${seed}`, liars: [{ peer: members, lies: [lie] }] }),
  );
const flood = { kind: 'phantoms', perSecond, identities: 1_000 } as const;
const quiet = run({ ...flood, perSecond: 0.001 });
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const roundMs = (outcomes: readonly Outcome[]): number =>
  mean(outcomes.map(({ elapsedMs }) => elapsedMs / rounds));
/** Of the honest peer that has most of it. */
const most = (outcomes: readonly Outcome[], what: 'checks' | 'pulledBytes'): number =>
  Math.max(
    ...outcomes.flatMap(({ peers }) => peers.filter((peer) => peer.isHonest).map((peer) => peer[what])),
  );

const floods: readonly (readonly [string, Extract<Lie, { kind: 'phantoms' }>])[] = [
  ['announce and serve nobody', flood],
  ['serve after four seconds', { ...flood, serves: { afterMs: 4_000 } }],
  ['serve one proposer only', { ...flood, serves: { only: 2 } }],
];

for (const [about, lie] of floods)
  test(`simulate closes rounds in time while free identities ${about} (G6)`, () => {
    const flooded = run(lie);
    const slower = roundMs(flooded) / roundMs(quiet);
    assert.ok(slower < 1.1, `rounds take ${slower.toFixed(2)} times as long`);
    const seconds = Math.max(...flooded.map(({ elapsedMs }) => elapsedMs)) / 1_000;
    const checksMax = most(quiet, 'checks') + 256 + 16 * seconds;
    assert.ok(most(flooded, 'checks') <= checksMax, `${most(flooded, 'checks')} of ${checksMax} checks`);
    const strangersMax = 26 * 400 * rounds;
    const pulled = most(flooded, 'pulledBytes') - most(quiet, 'pulledBytes');
    assert.ok(pulled <= strangersMax, `${pulled} of ${strangersMax} bytes`);
  });
