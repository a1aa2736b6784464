import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as assertThat, FactError } from '@murmuration/base';

class BridgeError extends FactError<'closed' | 'too-heavy'> {}

test('FactError carries its code, its facts, its cause and the name of its class', () => {
  const cause = new Error('ice');
  const error = new BridgeError('expected 3 t, got 5 t', { code: 'too-heavy', tonnes: 5 }, { cause });
  assert.ok(error instanceof FactError && error instanceof Error);
  assert.equal(error.name, 'BridgeError');
  assert.equal(error.code, 'too-heavy');
  assert.deepEqual(error.facts, { code: 'too-heavy', tonnes: 5 });
  assert.equal(error.message, 'expected 3 t, got 5 t');
  assert.equal(error.cause, cause);
  assert.match(error.stack ?? '', /errors\.test/);
});

test('assert throws with its message only when the condition does not hold', () => {
  assertThat(1, 'unused');
  for (const condition of [false, 0, '', undefined, null])
    assert.throws(() => assertThat(condition, 'the bridge is open'), /assertion failed: the bridge is open/);
});
