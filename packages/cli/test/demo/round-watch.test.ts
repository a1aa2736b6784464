import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoundWatch } from '../../src/demo/round-watch.ts';

test('RoundWatch wakes whoever waits for a round that was reached or passed, and nobody else', async () => {
  const watch = new RoundWatch();
  const woken: number[] = [];
  for (const round of [0, 2, 3, 5]) void watch.reach(round).then(() => woken.push(round));
  watch.note(3);
  watch.note(1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([watch.round, woken], [3, [0, 2, 3]]);
  watch.note(6);
  await watch.reach(5);
  assert.deepEqual(woken, [0, 2, 3, 5]);
});
