import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, exampleRun, parseRunConfig } from '@murmuration/base';
import { deltaBytesMax } from '@murmuration/delta';
import type { ReplicaView } from '@murmuration/protocol';
import { EngineLane } from '../src/engine-lane.ts';
import { Trainer } from '../src/trainer.ts';

const time = { wallSeconds: 1, trainingSeconds: 1, evaluationSeconds: 0, callsSeconds: 0 };
const block = cidOf(new Uint8Array());
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test('Trainer asks for fewer values when the line is slow, and for more when it is fast again', async () => {
  const parameters = 1_000_000;
  const run = parseRunConfig({ ...exampleRun, initial: { ...exampleRun.initial, parameters } });
  const bytesOf = (k: number): number => deltaBytesMax(parameters, { k, bits: 1 });
  const tokensPerRound = 5 * 8 * 32;
  const chosen: number[] = [];
  const enough = Promise.withResolvers<void>();
  let step = 0;
  let encodedSteps = 0;
  let servedBytes = 0;
  const trainer = new Trainer(
    { run, step: 0 },
    {
      engine: {
        async train({ steps }) {
          step += steps;
          const stepsSinceEncode = step - encodedSteps;
          return { step, stepsSinceEncode, loss: 1, tokensPerSecond: tokensPerRound / 2, time };
        },
        async pause() {},
        async encode({ k = run.delta.k, base, baseHeight }) {
          chosen.push(k);
          const steps = step - encodedSteps;
          encodedSteps = step;
          servedBytes += 2 * bytesOf(k);
          if (chosen.length === 3) enough.resolve();
          return {
            ...{ blob: base, bytes: new Uint8Array(bytesOf(k)), base, baseHeight },
            ...{ norm: 1, tokens: 1, steps, loss: 1 },
          };
        },
      },
      lane: new EngineLane(enough.reject),
      line: () => ({
        uplink: { bytesPerSecond: 2 * bytesOf(chosen.length < 2 ? 30 : 64), servedBytes },
        peers: 4,
      }),
      view: () =>
        ({
          phase: 'running',
          pending: undefined,
          head: { block, height: 0 },
          mayContribute: true,
        }) as unknown as ReplicaView,
      laneFollowsView: () => true,
      onDelta: async () => {},
      onProgress: () => {},
      onFailure: enough.reject,
    },
  );
  trainer.start();
  await enough.promise;
  await trainer.stop();
  assert.deepEqual(chosen.slice(0, 3), [16, 30, 64]);
});

/**
 * A trainer at an engine that does a step when it is told to, in the order of the calls, as the child does: an encode
 * comes before the rest of an order.
 */
function stage(round: { readonly steps: number; readonly overlapSteps: number }) {
  const run = parseRunConfig({ ...exampleRun, round: { ...exampleRun.round, ...round } });
  const orders: { left: number; resolve(): void }[] = [];
  const encoded: number[] = [];
  const view = { phase: 'running', head: { block, height: 0 }, mayContribute: true, pending: false };
  let [step, encodedSteps] = [0, 0];
  const trainer = new Trainer(
    { run, step: 0 },
    {
      engine: {
        async train({ steps }) {
          await new Promise<void>((resolve) => orders.push({ left: steps, resolve }));
          return { step, stepsSinceEncode: step - encodedSteps, loss: 1, tokensPerSecond: 1, time };
        },
        async pause() {},
        async encode({ base, baseHeight }) {
          const steps = step - encodedSteps;
          encodedSteps = step;
          encoded.push(steps);
          const delta = { blob: base, bytes: new Uint8Array(9), base, baseHeight };
          return { ...delta, norm: 1, tokens: 1, steps, loss: 1 };
        },
      },
      lane: new EngineLane((error) => assert.ifError(error)),
      line: () => ({ uplink: { bytesPerSecond: undefined, servedBytes: 0 }, peers: 3 }),
      view: () => ({ ...view, pending: view.pending || undefined }) as unknown as ReplicaView,
      laneFollowsView: () => true,
      async onDelta() {
        Object.assign(view, { mayContribute: false, pending: true });
      },
      onProgress() {},
      onFailure: (error) => assert.ifError(error),
    },
  );
  return {
    trainer,
    orders,
    encoded,
    /** The engine does as many steps of what it was told as it can; gives how many that were. */
    async work(steps: number): Promise<number> {
      let done = 0;
      for (; done < steps && orders[0]; done++) {
        step += 1;
        orders[0].left -= 1;
        if (orders[0].left === 0) orders.shift()?.resolve();
        await settled();
      }
      return done;
    },
    /** A block takes the pending delta. */
    async certify(): Promise<void> {
      Object.assign(view, { mayContribute: true, pending: false });
      trainer.viewChanged();
      await settled();
    },
  };
}

test('Trainer has the next order in the engine before it has heard of the last, up to the overlap', async () => {
  const { trainer, orders, encoded, work, certify } = stage({ steps: 3, overlapSteps: 7 });
  trainer.start();
  await settled();
  assert.deepEqual(
    orders.map(({ left }) => left),
    [3],
  );
  assert.equal(await work(3), 3);
  assert.deepEqual([encoded, orders.length], [[3], 2]);
  for (let done = 1; done <= 5; done++) {
    assert.equal(await work(1), 1);
    assert.ok(orders.length > 0, `nothing to do after ${done} steps`);
  }
  assert.equal(await work(100), 2);
  await certify();
  assert.deepEqual(encoded, [3, 7]);
  assert.ok(orders.length > 0);
  await Promise.all([trainer.stop(), work(100)]);
});

test('Trainer encodes as soon as it may, also in the middle of an order, and knows what is left then', async () => {
  const { trainer, encoded, work, certify } = stage({ steps: 3, overlapSteps: 20 });
  trainer.start();
  await settled();
  await work(3);
  await work(7);
  await certify();
  assert.deepEqual(encoded, [3, 7]);
  await work(2);
  await certify();
  assert.deepEqual(encoded, [3, 7], 'two steps are fewer than a round has');
  await work(3);
  assert.equal(encoded.length, 3);
  assert.ok((encoded[2] as number) >= 3 && (encoded[2] as number) <= 5, `${encoded}`);
  await Promise.all([trainer.stop(), work(100)]);
});

test('Trainer without overlap waits for the block that takes its delta', async () => {
  const { trainer, orders, encoded, work, certify } = stage({ steps: 3, overlapSteps: 0 });
  trainer.start();
  await settled();
  assert.equal(await work(100), 3);
  assert.deepEqual([encoded, orders.length], [[3], 0]);
  await certify();
  assert.equal(await work(100), 3);
  assert.deepEqual(encoded, [3, 3]);
  await trainer.stop();
});
