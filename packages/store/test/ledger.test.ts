import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf } from '@murmuration/base';
import { openStore, type StoredRecord } from '@murmuration/store';
import fc from 'fast-check';
import { storeError, temporaryFolder } from './temporary-folder.ts';

const bytesOf = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
const runA = cidOf(bytesOf(1));
const runB = cidOf(bytesOf(2));

test('records come back after a restart, in the order of their last put, without the forgotten ones', (context) => {
  const directory = temporaryFolder(context);
  const store = openStore({ directory });
  store.putRecord({ key: 'vote/0/1', height: 1, bytes: bytesOf(1) });
  store.putRecord({ key: 'vote/0/2', height: 2, bytes: bytesOf() });
  store.putRecord({ key: 'proposal/0/2', height: 2, bytes: bytesOf(3) });
  store.putRecord({ key: 'vote/0/2', height: 3, bytes: bytesOf(4) });
  store.close();

  const again = openStore({ directory });
  const keys = (): string[] => again.records().map(({ key }) => key);
  assert.deepEqual(again.records(), [
    { key: 'vote/0/1', height: 1, bytes: bytesOf(1) },
    { key: 'proposal/0/2', height: 2, bytes: bytesOf(3) },
    { key: 'vote/0/2', height: 3, bytes: bytesOf(4) },
  ]);
  again.forgetRecords(2);
  assert.deepEqual(keys(), ['proposal/0/2', 'vote/0/2']);
  again.forgetRecords(4);
  assert.deepEqual(keys(), []);
  again.close();
});

test('records hold what a map would, for any sequence of puts and forgets', (context) => {
  const store = openStore({ directory: temporaryFolder(context) });
  context.after(() => store.close());
  const put = fc.record({
    key: fc.constantFrom('a', 'b', 'é/1', ''),
    height: fc.nat(5),
    bytes: fc.uint8Array({ maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(fc.oneof(put, fc.nat(6)), { maxLength: 12 }), (steps) => {
      store.forgetRecords(100);
      const model = new Map<string, StoredRecord>();
      for (const step of steps) {
        if (typeof step === 'number') {
          store.forgetRecords(step);
          for (const [key, { height }] of model) if (height < step) model.delete(key);
        } else {
          store.putRecord(step);
          model.delete(step.key);
          model.set(step.key, step);
        }
      }
      assert.deepEqual(
        store.records(),
        [...model.values()].map(({ key, height, bytes }) => ({ key, height, bytes })),
      );
    }),
    { numRuns: 40 },
  );
});

test('entries are contiguous: a gap and a conflict are refused, a repetition is not', (context) => {
  const store = openStore({ directory: temporaryFolder(context) });
  context.after(() => store.close());
  assert.equal(store.firstHeight(), undefined);
  assert.equal(store.lastHeight(), undefined);
  for (const height of [1, 2, 3]) store.putEntry({ height, bytes: bytesOf(height) });
  store.putEntry({ height: 2, bytes: bytesOf(2) });
  assert.throws(() => store.putEntry({ height: 5, bytes: bytesOf(5) }), storeError('gap', 4, 5));
  assert.throws(() => store.putEntry({ height: 0, bytes: bytesOf(5) }), storeError('gap', 4, 0));
  assert.throws(() => store.putEntry({ height: 2, bytes: bytesOf(9) }), storeError('conflict', 2));
  assert.equal(store.firstHeight(), 1);
  assert.equal(store.lastHeight(), 3);
});

test('entries stops at the count and before the bytes are too many, and starts at the asked height or not at all', (context) => {
  const store = openStore({ directory: temporaryFolder(context) });
  context.after(() => store.close());
  for (let height = 7; height < 17; height++)
    store.putEntry({ height, bytes: new Uint8Array(100).fill(height) });
  const heights = (from: number, count: number, bytes?: number): number[] =>
    store.entries(from, count, bytes).map(({ height }) => height);
  assert.deepEqual(heights(7, 3), [7, 8, 9]);
  assert.deepEqual(heights(15, 10), [15, 16]);
  assert.deepEqual(heights(7, 10, 250), [7, 8]);
  assert.deepEqual(heights(7, 10, 99), []);
  assert.deepEqual(heights(7, 0), []);
  assert.deepEqual(heights(7, -1), []);
  assert.deepEqual(heights(17, 10), []);
  assert.deepEqual(heights(6, 10), []);
  assert.deepEqual(heights(8, Number.POSITIVE_INFINITY), [8, 9, 10, 11, 12, 13, 14, 15, 16]);
});

test('resetLedger keeps what connects, drops the rest, and fixes the next height also over a restart', (context) => {
  const directory = temporaryFolder(context);
  let store = openStore({ directory });
  for (const height of [1, 2, 3]) store.putEntry({ height, bytes: bytesOf(height) });
  store.resetLedger(4);
  assert.equal(store.lastHeight(), 3);
  store.resetLedger(3);
  assert.equal(store.lastHeight(), 2);
  store.resetLedger(65);
  assert.equal(store.lastHeight(), undefined);
  store.close();
  store = openStore({ directory });
  assert.throws(() => store.putEntry({ height: 3, bytes: bytesOf(3) }), storeError('gap', 65));
  store.putEntry({ height: 65, bytes: bytesOf(65) });
  assert.equal(store.firstHeight(), 65);
  store.close();
});

test('atomically keeps all changes or none', (context) => {
  const store = openStore({ directory: temporaryFolder(context) });
  context.after(() => store.close());
  const result = store.atomically(() => {
    store.putRecord({ key: 'a', height: 1, bytes: bytesOf(1) });
    store.putEntry({ height: 1, bytes: bytesOf(1) });
    store.putMetric({ height: 1, name: 'loss', value: 2, timeMs: 5 });
    return 'done';
  });
  assert.equal(result, 'done');
  const failing = (): void =>
    store.atomically(() => {
      store.putRecord({ key: 'b', height: 1, bytes: bytesOf(1) });
      store.putMetric({ height: 2, name: 'loss', value: 2, timeMs: 5 });
      store.putEntry({ height: 9, bytes: bytesOf(1) });
    });
  assert.throws(failing, storeError('gap'));
  assert.deepEqual(
    store.records().map(({ key }) => key),
    ['a'],
  );
  assert.equal(store.metrics('loss').length, 1);
  store.putRecord({ key: 'c', height: 1, bytes: bytesOf(1) });
  assert.equal(store.records().length, 2);
});

test('settings and metrics come back after a restart, also a loss that is no number', (context) => {
  const directory = temporaryFolder(context);
  let store = openStore({ directory });
  assert.equal(store.getSetting('addresses'), undefined);
  store.putSetting('addresses', bytesOf(1, 2));
  store.putSetting('addresses', bytesOf(3));
  store.putMetric({ height: 2, name: 'loss', value: Number.NaN, timeMs: 20.5 });
  store.putMetric({ height: 1, name: 'loss', value: 3, timeMs: 10 });
  store.putMetric({ height: 1, name: 'loss', value: 2.5, timeMs: 11 });
  store.putMetric({ height: 1, name: 'loss/fr', value: Number.POSITIVE_INFINITY, timeMs: 10 });
  store.close();
  store = openStore({ directory });
  assert.deepEqual(store.getSetting('addresses'), bytesOf(3));
  assert.deepEqual(store.metrics('loss'), [
    { height: 1, value: 2.5, timeMs: 11 },
    { height: 2, value: Number.NaN, timeMs: 20.5 },
  ]);
  assert.equal(store.metrics('loss/fr')[0]?.value, Number.POSITIVE_INFINITY);
  assert.deepEqual(store.metrics('none'), []);
  store.close();
});

test('openStore binds a new folder to its run and refuses another run', (context) => {
  const directory = temporaryFolder(context);
  const unbound = openStore({ directory });
  assert.equal(unbound.runId, undefined);
  unbound.bindRun(runA);
  assert.equal(unbound.runId, runA);
  unbound.bindRun(runA);
  assert.throws(() => unbound.bindRun(runB), storeError('other-run', runA, runB));
  unbound.close();
  assert.throws(() => openStore({ directory, runId: runB }), storeError('other-run', runA, runB));
  const bound = openStore({ directory, runId: runA });
  assert.equal(bound.runId, runA);
  bound.close();
  const second = temporaryFolder(context);
  openStore({ directory: second, runId: runB }).close();
  assert.throws(() => openStore({ directory: second, runId: runA }), storeError('other-run', runA, runB));
});

test('states are kept by height, the newest 64 of them', (context) => {
  const store = openStore({ directory: temporaryFolder(context) });
  for (let height = 4; height <= 4 * 70; height += 4) store.putState(height, bytesOf(height % 256));
  assert.equal(store.state(4 * 6), undefined);
  assert.deepEqual(store.state(4 * 7), bytesOf(28));
  assert.deepEqual(store.state(4 * 70), bytesOf(280 % 256));
  assert.equal(store.state(5), undefined);
  store.close();
});
