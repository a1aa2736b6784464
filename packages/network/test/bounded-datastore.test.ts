import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Key } from 'interface-datastore';
import { BoundedDatastore } from '../src/bounded-datastore.ts';

test('BoundedDatastore forgets what was written longest ago', () => {
  const store = new BoundedDatastore(3);
  for (const name of ['a', 'b', 'c', 'a', 'd']) store.put(new Key(name), Uint8Array.of(1));
  const kept = ['a', 'b', 'c', 'd'].filter((name) => store.has(new Key(name)));
  assert.deepEqual(kept, ['a', 'c', 'd']);
  store.delete(new Key('c'));
  store.put(new Key('e'), Uint8Array.of(1));
  assert.ok(store.has(new Key('a')) && store.has(new Key('d')) && store.has(new Key('e')));
});
