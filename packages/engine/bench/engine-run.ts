/** Our side of a measurement: a run of one peer around a model, in the engine's child process. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  cidOf,
  createRandom,
  exampleRun,
  nameBlob,
  parseRunConfig,
  peerIdOf,
  runIdOf,
} from '@murmuration/base';
import { writeModel } from '@murmuration/onnx';
import { createEngine, type Engine } from '../src/index.ts';
import type { Samples, Start } from './step-cases.ts';

const rows = 256;

/** Text of random letters, or arrays of random values, where the engine reads them. */
function writeSamples(folder: string, samples: Samples): string {
  const random = createRandom('bench');
  if (samples.kind === 'text') {
    const line = (): string => Array.from({ length: 60 }, () => random.below(36).toString(36)).join('');
    const path = join(folder, 'text.txt');
    writeFileSync(path, Array.from({ length: 8_000 }, line).join('\n'));
    return path;
  }
  const { height, width, classes } = samples;
  const arrays = join(folder, 'arrays');
  mkdirSync(arrays);
  const images = Float32Array.from({ length: rows * 3 * height * width }, () => 2 * random.unit() - 1);
  const labels = BigInt64Array.from({ length: rows }, () => BigInt(random.below(classes)));
  writeFileSync(join(arrays, 'images.npy'), npy('<f4', [rows, 3, height, width], images));
  writeFileSync(join(arrays, 'labels.npy'), npy('<i8', [rows], labels));
  return arrays;
}

/** An array as NumPy stores it, version 1.0. */
function npy(type: string, shape: readonly number[], data: Float32Array | BigInt64Array): Uint8Array {
  const fields = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`;
  const header = `${fields.padEnd(Math.ceil((fields.length + 11) / 64) * 64 - 11)}\n`;
  const length = Uint8Array.of(header.length & 0xff, header.length >> 8);
  const magic = Uint8Array.of(0x93, ...new TextEncoder().encode('NUMPY'), 1, 0);
  const values = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.concat([magic, length, new TextEncoder().encode(header), values]);
}

/** An engine that has been opened, and the folder that goes with it. */
export interface EngineRun {
  /** Mean milliseconds of so many steps, as the caller waits for them. */
  train(steps: number): Promise<number>;
  close(): Promise<void>;
}

export async function startEngine(init: {
  readonly start: Start;
  readonly samples: Samples;
  readonly batch: number;
  readonly threads: number;
  readonly checkpointActivations?: boolean;
}): Promise<EngineRun> {
  const { start, samples, batch, threads, checkpointActivations } = init;
  const folder = mkdtempSync(join(tmpdir(), 'murmuration-bench-'));
  const graph = writeModel(start.model);
  const { parameters } = start;
  const initial = join(folder, 'initial.bin');
  const bytes = new Uint8Array(parameters.buffer, parameters.byteOffset, parameters.byteLength);
  writeFileSync(initial, bytes);
  const self = peerIdOf(new Uint8Array(32).fill(1));
  const { seed: _, ...unseeded } = exampleRun.initial;
  const run = parseRunConfig({
    ...exampleRun,
    name: 'bench',
    model: { graph: nameBlob(graph).cid, bytes: graph.length },
    data:
      samples.kind === 'text'
        ? { kind: 'text', tokenizer: 'bytes', context: samples.context }
        : { kind: 'arrays' },
    batch,
    initial: { ...unseeded, tensors: nameBlob(bytes).cid, parameters: parameters.length },
    inner: { ...exampleRun.inner, learningRate: 1e-3 },
    founders: [self],
  });
  const engine: Engine = await createEngine({
    ...{ run, runId: runIdOf(run), self, graph, threads, niceness: 0, checkpointActivations },
    weights: { initial },
    directory: join(folder, 'engine'),
    data: [writeSamples(folder, samples)],
  });
  await engine.open(cidOf(new TextEncoder().encode('genesis'), 'dag-cbor'));
  return {
    async train(steps) {
      const startedMs = performance.now();
      await engine.train({ steps, round: 0 });
      return (performance.now() - startedMs) / steps;
    },
    async close() {
      await engine.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
