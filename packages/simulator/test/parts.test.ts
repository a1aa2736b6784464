import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom, sha256 } from '@murmuration/base';
import fc from 'fast-check';
import { createClock } from '../src/clock.ts';
import { drawMs } from '../src/distribution.ts';
import { createKeys } from '../src/keys.ts';
import { createWorld } from '../src/world.ts';

test('drawMs draws uniformly within its bounds', () => {
  fc.assert(
    fc.property(fc.string(), fc.nat(1_000), fc.nat(1_000), (seed, low, more) => {
      const drawn = drawMs([low, low + more], createRandom(seed));
      assert.ok(Number.isInteger(drawn) && drawn >= low && drawn <= low + more);
    }),
  );
});

test('drawMs draws log-normally: the median in the middle, a long tail above', () => {
  const random = createRandom('log-normal');
  const drawn = Array.from({ length: 4_001 }, () => drawMs({ medianMs: 100, sigma: 1 }, random)).sort(
    (a, b) => a - b,
  );
  const at = (share: number): number => drawn[Math.floor(share * 4_000)] ?? 0;
  assert.ok(Math.abs(at(0.5) - 100) < 8, `median ${at(0.5)}`);
  assert.ok(Math.abs(at(0.84) - 272) < 25, `one sigma ${at(0.84)}`);
  assert.ok(at(0) > 0 && at(1) > 1_000);
});

test('createClock drifts, jumps, and says how long until a time', () => {
  const world = createWorld();
  const clock = createClock(world, 0, { driftPpm: 100_000, jumps: [{ atMs: 1_000, byMs: 500 }] });
  const seen: number[] = [];
  for (const at of [0, 500, 999, 1_000, 2_000]) world.after(at, () => seen.push(Math.round(clock.now)));
  world.run(10_000, () => false);
  assert.deepEqual(seen, [0, 550, 1_099, 1_600, 2_700]);
  assert.equal(Math.round(clock.until(clock.now + 110)), 100);
});

test('createWorld runs events in the order of their times, and of their making among equal ones', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 60 }), (delays) => {
      const world = createWorld();
      const ran: [number, number][] = [];
      delays.forEach((delay, index) => {
        world.after(delay, () => ran.push([world.now, index]));
      });
      world.run(1_000, () => false);
      const expected = delays
        .map((delay, index): [number, number] => [delay, index])
        .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      assert.deepEqual(ran, expected);
    }),
  );
});

test('createKeys tells every signer and every message apart', () => {
  const keys = createKeys('seed');
  const [alice, bob] = [keys.idOf(0), keys.idOf(1)];
  const { sign, verify } = keys.componentsOf(alice);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(), fc.nat(7), (bytes, at, bit) => {
      const signature = sign(bytes);
      assert.ok(verify(alice, bytes, signature));
      assert.ok(!verify(bob, bytes, signature));
      const changed = bytes.slice();
      changed[at % bytes.length] = (changed[at % bytes.length] as number) ^ (1 << bit);
      assert.ok(!verify(alice, changed, signature));
      assert.ok(!verify(alice, bytes, signature.subarray(1)));
      assert.ok(!verify(alice, bytes, sha256(bytes)));
    }),
  );
});
