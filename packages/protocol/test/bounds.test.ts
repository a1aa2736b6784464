import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, decodeCbor, encodeCbor, runIdOf } from '@murmuration/base';
import { assertBounds } from '../src/bounds.ts';
import { invalidBlobsMax, listsMax, verifiedMax } from '../src/defaults.ts';
import { moveWork } from '../src/life.ts';
import type { Machine } from '../src/machine.ts';
import { createRegular, replicaOf } from '../src/replica.ts';
import { createBus, createKey, createRun } from './harness.ts';

/** What a machine was given and does not grow. */
const given = new Set(['init', 'components', 'rules']);

/** Entries of all maps, sets and lists that a machine reaches, by the name of the property that holds them. */
function sizesOf(machine: Machine): Map<string, number> {
  const sizes = new Map<string, number>();
  const seen = new Set<unknown>();
  const waiting: { readonly name: string; readonly value: unknown }[] = [{ name: 'machine', value: machine }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { name, value } = next;
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || seen.has(value)) continue;
    seen.add(value);
    const isCollection = Array.isArray(value) || value instanceof Map || value instanceof Set;
    if (isCollection) {
      const count = Array.isArray(value) ? value.length : value.size;
      sizes.set(name, (sizes.get(name) ?? 0) + count);
      for (const item of value.values()) waiting.push({ name, value: item });
    } else
      for (const [key, item] of Object.entries(value))
        if (!(value === machine && given.has(key))) waiting.push({ name: key, value: item });
  }
  return sizes;
}

test('a replica keeps as much after many rounds as after some (G6)', () => {
  const machines: Machine[] = [];
  const rounds = 90;
  const bus = createBus({
    members: 3,
    guests: 1,
    run: { rounds, snapshotEvery: 8 },
    create(init, components) {
      const machine = createRegular(init, components);
      machines.push(machine);
      return replicaOf(machine);
    },
  });
  const highest = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
  while (machines.some(({ settled }) => settled.block.height < rounds)) {
    bus.round();
    bus.wait(200);
    for (const machine of machines) {
      const third = highest[Math.floor((3 * machine.settled.block.height) / (rounds + 1))];
      for (const [name, size] of sizesOf(machine)) third?.set(name, Math.max(size, third.get(name) ?? 0));
    }
    for (const peer of bus.peers) peer.effects.length = 0;
    assert.ok(bus.now < 1_000_000, 'the run ends');
  }
  const [, before, after] = highest;
  assert.ok((after?.size ?? 0) > 20, `${after?.size} collections`);
  for (const [name, size] of after ?? [])
    if (name === 'verified') assert.ok(size <= verifiedMax);
    else assert.ok(size <= (before?.get(name) ?? 0), `${name}: ${before?.get(name)} entries, then ${size}`);
});

test('a machine that gets what another one gathered keeps within its maxima (G6)', () => {
  const key = createKey(1);
  const run = createRun([key.peer]);
  const full = (side: string): Machine => {
    const init = { run, runId: runIdOf(run), self: key.peer, role: 'member', wallMs: 0 } as const;
    const machine = createRegular(init, key.components);
    for (let index = 0; index < listsMax; index++) machine.lists.set(cidOf(encodeCbor([side, index])), []);
    for (let index = 0; index < invalidBlobsMax; index++) machine.invalidDeltas.add(`${side} ${index}`);
    return machine;
  };
  const to = full('recovery');
  moveWork(full('regular'), to, () => false);
  assertBounds(to);
});

test('a list that was pulled goes when its block is known (G6)', () => {
  const machines: Machine[] = [];
  let pulled = 0;
  const isAnnouncement = (bytes: Uint8Array): boolean =>
    (decodeCbor(bytes) as { readonly kind: string }).kind === 'contribution';
  const bus = createBus({
    members: 3,
    run: { rounds: 40 },
    create(init, components) {
      const machine = createRegular(init, components);
      const replica = replicaOf(machine);
      if (machines.push(machine) !== 2) return replica;
      const handle: typeof replica.handle = (event, now) => {
        if (event.kind === 'blob' && event.bytes) pulled++;
        if (event.kind !== 'message') return replica.handle(event, now);
        const heard = (decodeCbor(event.bytes) as Uint8Array[]).filter((bytes) => !isAnnouncement(bytes));
        return heard.length > 0 ? replica.handle({ ...event, bytes: encodeCbor(heard) }, now) : [];
      };
      return {
        handle,
        get view() {
          return replica.view;
        },
      };
    },
  });
  for (let round = 0; round < 6; round++) {
    bus.round();
    bus.wait(12_000);
  }
  const [, deaf] = machines as [Machine, Machine, Machine];
  assert.ok(pulled >= 4 && deaf.settled.block.height >= 4, `${pulled} pulled, ${deaf.settled.block.height}`);
  assert.ok(deaf.lists.size <= 1, `${deaf.lists.size} lists`);
});
