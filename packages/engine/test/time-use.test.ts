import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSchedule } from '../src/schedule.ts';
import { TimeCount } from '../src/time-use.ts';

/** A clock that somebody moves. */
function handClock(): { now(): number; pass(ms: number): void } {
  let nowMs = 1_000;
  return {
    now: () => nowMs,
    pass(ms) {
      nowMs += ms;
    },
  };
}

test('TimeCount begins with the first training, and counts what is under way', () => {
  const clock = handClock();
  const time = new TimeCount(clock.now);
  time.begin('calls');
  clock.pass(500);
  time.end();
  assert.deepEqual(time.read(), {
    wallSeconds: 0,
    trainingSeconds: 0,
    evaluationSeconds: 0,
    callsSeconds: 0,
  });
  time.begin('training');
  clock.pass(2_000);
  assert.equal(time.read().trainingSeconds, 2);
  time.begin('calls');
  clock.pass(250);
  time.end();
  clock.pass(750);
  assert.deepEqual(time.read(), {
    wallSeconds: 3,
    trainingSeconds: 2,
    evaluationSeconds: 0,
    callsSeconds: 0.25,
  });
});

test('Schedule gives every slice and call its own time, and to nobody what lies between', async () => {
  const clock = handClock();
  const schedule = createSchedule(clock.now);
  const job = (activity: 'training' | 'evaluation', sliceMs: number, slices: number) => {
    let done = 0;
    return schedule.start({
      activity,
      async slice() {
        clock.pass(sliceMs);
        if (done === 1) schedule.serve(() => clock.pass(10));
        return ++done === slices;
      },
    });
  };
  await job('training', 100, 3);
  clock.pass(1_000);
  await Promise.all([job('training', 100, 4), job('evaluation', 30, 5)]);
  const failing = schedule.start({
    activity: 'training',
    async slice() {
      clock.pass(50);
      throw new Error('a step that was not taken took its time');
    },
  });
  await assert.rejects(failing);
  const prepared = Promise.withResolvers<void>();
  schedule.serve(prepared.resolve, async () => clock.pass(70));
  await prepared.promise;
  assert.deepEqual(schedule.timeUse(), {
    wallSeconds: 2,
    trainingSeconds: 0.75,
    evaluationSeconds: 0.15,
    callsSeconds: 0.1,
  });
});
