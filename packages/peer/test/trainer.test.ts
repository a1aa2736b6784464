import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, exampleRun, parseRunConfig } from '@murmuration/base';
import { deltaBytesMax } from '@murmuration/delta';
import type { ReplicaView } from '@murmuration/protocol';
import { EngineLane } from '../src/engine-lane.ts';
import { Trainer } from '../src/trainer.ts';

test('Trainer asks for fewer values when the line is slow, and for more when it is fast again', async () => {
  const parameters = 1_000_000;
  const run = parseRunConfig({ ...exampleRun, initial: { ...exampleRun.initial, parameters } });
  const bytesOf = (k: number): number => deltaBytesMax(parameters, { k, bits: 1 });
  const tokensPerRound = 5 * 8 * 32;
  const chosen: number[] = [];
  const enough = Promise.withResolvers<void>();
  let stepsSinceEncode = 0;
  let servedBytes = 0;
  const trainer = new Trainer(
    { run, step: 1 },
    {
      engine: {
        async train({ steps }) {
          stepsSinceEncode += steps;
          return { step: 1, stepsSinceEncode, loss: 1, tokensPerSecond: tokensPerRound / 2 };
        },
        async pause() {},
        async encode({ k = run.delta.k, base, baseHeight }) {
          chosen.push(k);
          stepsSinceEncode = 0;
          servedBytes += 2 * bytesOf(k);
          if (chosen.length === 3) enough.resolve();
          return {
            ...{ blob: base, bytes: new Uint8Array(bytesOf(k)), base, baseHeight },
            ...{ norm: 1, tokens: 1, steps: 5, loss: 1 },
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
          head: { block: cidOf(new Uint8Array()), height: 0 },
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
