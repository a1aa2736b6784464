import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeCbor } from '@murmuration/base';
import { createReplica, type Effect } from '@murmuration/protocol';
import { type BusPeer, createBus } from './harness.ts';

const proposes = (effects: readonly Effect[]): boolean =>
  effects.some(
    (effect) =>
      effect.kind === 'publish' &&
      (decodeCbor(effect.bytes) as Uint8Array[]).some(
        (bytes) => (decodeCbor(bytes) as { readonly kind: string }).kind === 'proposal',
      ),
  );

test('two go on above a block that only one of them has, and whose proposer is gone (G3)', () => {
  let armed = false;
  let dead: string | undefined;
  const bus = createBus({
    members: 3,
    run: { rounds: 40 },
    create(init, components) {
      const replica = createReplica(init, components);
      const handle: typeof replica.handle = (event, now) => {
        if (dead === init.self) return [];
        const effects = replica.handle(event, now);
        if (armed && dead === undefined && proposes(effects)) dead = init.self;
        return effects;
      };
      return {
        handle,
        get view() {
          return replica.view;
        },
      };
    },
  });
  bus.round();
  bus.wait(2_000);
  const before = (bus.peers[0] as BusPeer).replica.view.final.height;
  armed = true;
  const hears = (from: BusPeer, to: BusPeer): boolean => {
    const gone = bus.peers.findIndex(({ key }) => key.peer === dead);
    return gone < 0 || to === bus.peers[(gone + 1) % 3] || from === to;
  };
  bus.drops = (from, to) => !hears(from, to);
  bus.round();
  bus.wait(5_000);
  bus.drops = () => false;
  for (let round = 0; round < 10; round++) {
    bus.round();
    bus.wait(60_000);
  }
  assert.ok(dead);
  const there = bus.peers.filter(({ key }) => key.peer !== dead);
  for (const { replica } of there)
    assert.ok(replica.view.final.height >= before + 5, `${before}, then ${replica.view.final.height}`);
});
