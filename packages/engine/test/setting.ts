/** Runs, keys, folders and texts that the engine's tests share. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  type Cid,
  cidOf,
  exampleRun,
  nameBlob,
  type PeerId,
  parseRunConfig,
  peerIdOf,
  type RunConfig,
  type RunConfigInput,
  runIdOf,
} from '@murmuration/base';
import {
  type GptConfig,
  gpt,
  initializeParameters,
  type Model,
  parametersOf,
  writeModel,
} from '@murmuration/onnx';
import {
  createEngine,
  type EncodedDelta,
  type Engine,
  type EngineInit,
  type ExecutionInput,
} from '../src/index.ts';

export const french: string = fileURLToPath(new URL('./fixtures/french.txt', import.meta.url));

/** The peer whose key is 32 times this byte. */
export const peer = (byte: number): PeerId => peerIdOf(new Uint8Array(32).fill(byte));

/** A block's name, for tests that need no block. */
export const block = (name: string): Cid => cidOf(new TextEncoder().encode(name), 'dag-cbor');
export const genesis: Cid = block('genesis');

export interface Setting {
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly graph: Uint8Array;
}

/** A run around a training model whose first parameters the seed draws. */
export function settingOf(model: Model, changes: Partial<RunConfigInput> = {}, seed = 'seed'): Setting {
  const graph = writeModel(model);
  const initial = initializeParameters(parametersOf(model), seed);
  const run = parseRunConfig({
    ...exampleRun,
    name: 'engine test',
    model: { graph: nameBlob(graph).cid, bytes: graph.length },
    initial: {
      seed: 'seed',
      tensors: nameBlob(new Uint8Array(initial.buffer)).cid,
      parameters: initial.length,
    },
    delta: { ...exampleRun.delta, blobBytesMax: 65_536 },
    founders: [peer(1), peer(2)],
    ...changes,
  });
  return { run, runId: runIdOf(run), graph };
}

/** A run of a transformer of about 30,000 parameters, eight samples of 32 bytes a step. */
export function createSetting(
  changes: {
    readonly model?: Partial<GptConfig>;
    readonly seed?: string;
    readonly run?: Partial<RunConfigInput>;
  } = {},
): Setting {
  const model = gpt({ vocabulary: 260, context: 32, width: 32, layers: 2, heads: 2, ...changes.model });
  return settingOf(model, changes.run, changes.seed);
}

/** A folder that is removed after the test. */
export function temporaryFolder(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'murmuration-engine-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** An engine in its own folder, closed after the test. */
export async function startEngine(
  test: TestContext,
  setting: Setting,
  changes: Partial<EngineInit> = {},
): Promise<Engine> {
  const engine = await createEngine({
    ...setting,
    self: peer(1),
    directory: changes.directory ?? temporaryFolder(test),
    data: [french],
    threads: 1,
    niceness: 0,
    ...changes,
  });
  test.after(() => engine.close().catch(() => undefined));
  return engine;
}

/** A block of these deltas, all at full weight, and their blobs. */
export function executionOf(
  parent: Cid,
  height: number,
  deltas: readonly { readonly author: PeerId; readonly delta: EncodedDelta; readonly clip?: number }[],
): { readonly execution: ExecutionInput; readonly blobs: Map<Cid, Uint8Array> } {
  const inputs = deltas
    .map(({ author, delta: { base, blob, norm, tokens }, clip = 1 }) => ({
      author,
      base,
      blob,
      norm,
      clip,
      weight: tokens,
    }))
    .sort((left, right) => (left.blob < right.blob ? -1 : 1));
  return {
    execution: { parent, height, inputs, kappa: 0, outerStep: 1 },
    blobs: new Map(deltas.map(({ delta }) => [delta.blob, delta.bytes])),
  };
}
