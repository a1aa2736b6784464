import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { createSchedule } from '../src/schedule.ts';

test('Schedule serves calls in order and never during a slice', async () => {
  const schedule = createSchedule();
  const events: string[] = [];
  let slices = 0;
  const job = schedule.start({
    activity: 'training',
    async slice() {
      events.push('begin');
      await setTimeout(5);
      events.push('end');
      return ++slices === 4;
    },
  });
  for (const name of ['a', 'b', 'c']) {
    await setTimeout(2);
    schedule.serve(() => events.push(name));
  }
  await job;
  const inside = events.filter((event, index) => events[index - 1] === 'begin' && event !== 'end');
  assert.deepEqual(inside, []);
  assert.deepEqual(
    events.filter((event) => event.length === 1),
    ['a', 'b', 'c'],
  );
});

test('Schedule lets nothing happen between what a call waits for and the call', async () => {
  const schedule = createSchedule();
  const events: string[] = [];
  let slices = 0;
  const job = schedule.start({
    activity: 'training',
    async slice() {
      events.push('slice');
      await setTimeout(2);
      return ++slices === 6;
    },
  });
  const prepare = async (): Promise<void> => {
    events.push('prepare');
    await setTimeout(10);
    events.push('prepared');
  };
  for (const name of ['a', 'b'])
    schedule.serve(
      () => events.push(name),
      () => (name === 'b' ? prepare() : undefined),
    );
  schedule.serve(() => events.push('c'));
  await job;
  const from = events.indexOf('a');
  assert.deepEqual(events.slice(from, from + 5), ['a', 'prepare', 'prepared', 'b', 'c']);
});

test('Schedule gives jobs their turns one after another; one that throws ends alone', async () => {
  const schedule = createSchedule();
  const turns: string[] = [];
  const job = (name: string, length: number, fails = false) => {
    let done = 0;
    return schedule.start({
      activity: 'training',
      async slice() {
        turns.push(name);
        if (fails && done === 1) throw new Error(name);
        return ++done === length;
      },
    });
  };
  const [a, b, c] = await Promise.allSettled([job('a', 3), job('b', 9, true), job('c', 2)]);
  assert.deepEqual([a?.status, b?.status, c?.status], ['fulfilled', 'rejected', 'fulfilled']);
  assert.deepEqual(turns.join(''), 'abcabca');
});
