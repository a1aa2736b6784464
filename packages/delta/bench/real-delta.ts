/**
 * What the codec has to say in earnest: u = β·e + D of a transformer of 10.8 million parameters, as the production
 * engine has it after some rounds on French text. The engine encodes, applies its own block and goes on, so that the
 * residual holds what earlier deltas left out; u is then put together from the engine's checkpoint.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import {
  type Cid,
  cidOf,
  exampleRun,
  nameBlob,
  parseRunConfig,
  peerIdOf,
  type RunConfig,
  runIdOf,
} from '@murmuration/base';
import { createEngine, type Engine } from '@murmuration/engine';
import { gpt, initializeParameters, parametersOf, writeModel } from '@murmuration/onnx';
import { prepareCorpus } from '../../cli/src/demo/corpus.ts';
import { openCheckpoints } from '../../engine/src/checkpoint.ts';
import { createHead, restoreHead } from '../../engine/src/head-checkpoint.ts';

const model = gpt({ vocabulary: 260, context: 128, width: 384, layers: 6, heads: 6 });
export const rounds = 16;
export const stepsPerRound = 5;
export const language = 'fr';

const self = peerIdOf(new Uint8Array(32).fill(1));
const block = (height: number): Cid => cidOf(new TextEncoder().encode(`block ${height}`), 'dag-cbor');

function createSettings(): { readonly run: RunConfig; readonly graph: Uint8Array } {
  const graph = writeModel(model);
  const theta = initializeParameters(parametersOf(model), 'seed');
  const run = parseRunConfig({
    ...exampleRun,
    name: 'codec',
    model: { graph: nameBlob(graph).cid, bytes: graph.length },
    data: { kind: 'text', tokenizer: 'bytes', context: 128 },
    initial: {
      seed: 'seed',
      tensors: nameBlob(new Uint8Array(theta.buffer)).cid,
      parameters: theta.length,
    },
    inner: { ...exampleRun.inner, learningRate: 1e-3 },
    delta: { ...exampleRun.delta, blobBytesMax: theta.byteLength },
    founders: [self],
  });
  return { run, graph };
}

/** Trains and encodes round after round; every delta but the last becomes a block. */
async function playRounds(engine: Engine, onRound: (text: string) => void): Promise<void> {
  await engine.open(block(0));
  for (let round = 0; ; round++) {
    await engine.train({ steps: stepsPerRound, round });
    const parent = block(round);
    const { blob, bytes, base, norm, tokens, loss } = await engine.encode({
      base: parent,
      baseHeight: round,
    });
    onRound(`round ${round + 1} of ${rounds}: loss ${loss.toFixed(3)}, ${bytes.length} bytes`);
    if (round === rounds - 1) return;
    const inputs = [{ author: self, base, blob, norm, clip: 1, weight: tokens }];
    const execution = { parent, height: round + 1, inputs, kappa: 0, outerStep: 1 };
    const blobs = new Map([[blob, bytes]]);
    await engine.execute(execution, blobs);
    await engine.apply(block(round + 1), execution, blobs, blob);
    await engine.settle(block(round + 1));
  }
}

/** u of the pending delta that the engine's checkpoint in this folder holds. */
function pendingMessage(directory: string, run: RunConfig): Float32Array {
  const loaded = openCheckpoints(directory, runIdOf(run)).load();
  if (!loaded) throw new Error(`${directory}: expected a checkpoint, found none`);
  const { head: facts, optimizer } = loaded.state as {
    readonly head: unknown;
    readonly optimizer: { readonly states: readonly string[] };
  };
  const arrays = loaded.arrays.slice(optimizer.states.length).values();
  const { parameters } = run.initial;
  const head = createHead(new Float32Array(parameters), new Float32Array(parameters), block(0));
  restoreHead(head, facts, () => arrays.next().value as ArrayBuffer);
  const pending = head.pending;
  if (!pending) throw new Error(`${directory}: expected a pending delta, found none`);
  const { feedback } = run.delta;
  return pending.difference.map((value, i) => feedback * (head.residual[i] as number) + value);
}

/** Trains in `folder`, some minutes on two cores; a folder that holds the result already is only read. */
export async function realDelta(
  folder: string,
  onRound: (text: string) => void = console.error,
): Promise<Float32Array> {
  const path = join(folder, `u-${language}-${rounds}x${stepsPerRound}.f32`);
  if (existsSync(path)) return new Float32Array(new Uint8Array(readFileSync(path)).buffer);
  mkdirSync(folder, { recursive: true });
  const [text] = await prepareCorpus(join(folder, 'texts'), [language]);
  if (!text) throw new Error(`expected text in ${language}`);
  const { run, graph } = createSettings();
  const directory = join(folder, 'engine');
  const engine = await createEngine({
    ...{ run, runId: runIdOf(run), self, graph, directory, niceness: 0 },
    data: [text.folder],
    threads: availableParallelism(),
  });
  try {
    await playRounds(engine, onRound);
  } finally {
    await engine.close();
  }
  const message = pendingMessage(directory, run);
  writeFileSync(path, new Uint8Array(message.buffer));
  return message;
}
