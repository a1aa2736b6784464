import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSchedule } from '../src/schedule.ts';
import { type StoppableJob, TrainingQueue } from '../src/training-queue.ts';

function jobOf(name: string, slices: number, turns: string[], fails = false): StoppableJob {
  let [done, stopped] = [0, false];
  return {
    activity: 'training',
    async slice() {
      if (stopped) return true;
      turns.push(name);
      if (fails) throw new Error(name);
      return ++done === slices;
    },
    stop() {
      stopped = true;
    },
  };
}

test('TrainingQueue carries orders out one after another, beside other jobs, also behind one that fails', async () => {
  const schedule = createSchedule();
  const queue = new TrainingQueue(schedule);
  const turns: string[] = [];
  const orders = [
    queue.run(jobOf('a', 3, turns)),
    queue.run(jobOf('b', 1, turns, true)),
    queue.run(jobOf('c', 2, turns)),
  ];
  const other = schedule.start({ ...jobOf('x', 4, turns), activity: 'evaluation' });
  const settled = await Promise.allSettled([...orders, other]);
  assert.deepEqual(
    settled.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  );
  assert.deepEqual(turns.filter((turn) => turn !== 'x').join(''), 'aaabcc');
  assert.ok(turns.indexOf('x') < turns.indexOf('b'));
});

test('TrainingQueue leaves no turn between two orders', async () => {
  const schedule = createSchedule();
  const queue = new TrainingQueue(schedule);
  const events: string[] = [];
  const orders = [queue.run(jobOf('a', 2, events)), queue.run(jobOf('b', 2, events))];
  const ticks = (async () => {
    while (events.length < 4) {
      events.push('tick');
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  await Promise.all([...orders, ticks]);
  const between = events.slice(events.lastIndexOf('a') + 1, events.indexOf('b'));
  assert.ok(between.length <= 1, events.join(' '));
});

test('TrainingQueue stop ends what runs and what waits, and takes new orders', async () => {
  const queue = new TrainingQueue(createSchedule());
  const turns: string[] = [];
  const orders = [queue.run(jobOf('a', 1_000_000, turns)), queue.run(jobOf('b', 1_000_000, turns))];
  await queue.stop();
  await Promise.all(orders);
  assert.ok(!turns.includes('b'));
  await queue.run(jobOf('c', 2, turns));
  assert.deepEqual(turns.slice(-2), ['c', 'c']);
});
