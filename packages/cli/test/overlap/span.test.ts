import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PeerEvent, PeerStatus } from '@murmuration/peer';
import { summarize } from '../../bench/overlap/overlap.ts';
import { type Span, SpanWatch } from '../../bench/overlap/span.ts';

const status = (round: number, wallSeconds: number, more: Partial<PeerStatus> = {}): PeerEvent => ({
  kind: 'status',
  status: {
    round,
    phase: 'running',
    step: 10 * wallSeconds,
    time: {
      wallSeconds,
      trainingSeconds: 0.9 * wallSeconds - 1,
      evaluationSeconds: 0,
      callsSeconds: 0.05 * wallSeconds,
    },
    traffic: { sent: 1_000 * round, received: 0, byProtocol: {} },
    ...more,
  } as PeerStatus,
});

const contributed = (round: number): PeerEvent => ({
  kind: 'contributed',
  round,
  bytes: 1,
  steps: 5,
  loss: 1,
});
const certified = (round: number, own: boolean): PeerEvent => ({
  kind: 'certified',
  ...{ round, own, authors: [], stateRoot: '' },
});

describe('SpanWatch', () => {
  test('measures from the first status with a certified round to the end of the run', () => {
    const watch = new SpanWatch();
    watch.note(status(0, 5), 0);
    assert.equal(watch.span(), undefined);
    watch.note(status(1, 10), 0);
    assert.equal(watch.span(), undefined, 'one status is no span');
    watch.note(status(7, 30), 0);
    assert.equal(watch.hasEnded, false);
    watch.note(status(9, 40, { phase: 'ended' }), 0);
    watch.note(status(9, 70, { phase: 'ended' }), 0);
    assert.equal(watch.hasEnded, true);
    assert.deepEqual(watch.span(), {
      ...{ rounds: 8, seconds: 30, trainingSeconds: 27, evaluationSeconds: 0, callsSeconds: 1.5 },
      ...{ steps: 300, sentBytes: 8_000, certificationMs: [] },
    });
  });

  test('takes the time of a delta from its encoding to the round that holds it', () => {
    const watch = new SpanWatch();
    watch.note(contributed(1), 100);
    watch.note(certified(1, false), 900);
    watch.note(certified(2, true), 1_600);
    watch.note(certified(3, true), 1_700);
    watch.note(contributed(4), 2_000);
    watch.note({ kind: 'expired' }, 2_500);
    watch.note(certified(4, true), 2_600);
    watch.note(contributed(5), 3_000);
    watch.note(certified(5, true), 3_200);
    watch.note(status(4, 1), 0);
    watch.note(status(5, 2, { phase: 'ended' }), 0);
    assert.deepEqual(watch.span()?.certificationMs, [1_500, 200]);
  });
});

test('summarize adds up what the peers trained on, and takes means and the lowest of shares', () => {
  const span = (trainingSeconds: number, more: Partial<Span> = {}): Span => ({
    ...{ rounds: 10, seconds: 100, trainingSeconds, evaluationSeconds: 2, callsSeconds: 3, steps: 50 },
    ...{ sentBytes: 700, certificationMs: [5, 1] },
    ...more,
  });
  const row = summarize([span(90), span(80, { rounds: 9, sentBytes: 450, certificationMs: [9] })]);
  assert.ok(Math.abs(row.utilisation.mean - 0.85) < 1e-12);
  assert.equal(row.utilisation.lowest, 0.8);
  assert.deepEqual([row.calls, row.evaluation, row.rounds, row.seconds], [0.03, 0.02, 9, 100]);
  assert.equal(row.tokensPerSecond, (2 * 50 * 8 * 128) / 100);
  assert.equal(row.sentBytesPerRound, 60);
  assert.equal(row.certificationMs, 5);
});
