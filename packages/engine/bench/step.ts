/**
 * How long is one inner step (sample, forward, backward, clip, AdamW) in our engine, and in PyTorch eager? The two run
 * in turn, a few steps each, with a pause between, so that both meet the same machine; the ratio is the median over
 * the pairs. See README.md.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  cidOf,
  createRandom,
  exampleRun,
  nameBlob,
  parseRunConfig,
  peerIdOf,
  runIdOf,
} from '@murmuration/base';
import { type GptConfig, gpt, initializeParameters, parametersOf, writeModel } from '@murmuration/onnx';
import { createEngine, type Engine } from '../src/index.ts';

interface Size extends GptConfig {
  readonly batch: number;
  /** Steps of one turn: about a second. */
  readonly steps: number;
}

export interface StepFigures {
  readonly oursMs: number;
  readonly pytorchMs: number | undefined;
  readonly ratio: number | undefined;
}

const vocabulary = 260;
const context = 128;
const sizes: Readonly<Record<string, Size>> = {
  '0.9M': { vocabulary, context, width: 128, layers: 4, heads: 4, batch: 8, steps: 12 },
  '5M': { vocabulary, context, width: 256, layers: 6, heads: 8, batch: 16, steps: 3 },
};
const pairs = 11;
/** Idle threads of either side spin for a while before they sleep. */
const pauseMs = 250;

const median = (values: readonly number[]): number =>
  values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] as number;

/** PyTorch in a process of its own, a line of JSON in and one out. */
class PyTorch {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  constructor() {
    const script = fileURLToPath(new URL('../scripts/step-pytorch.py', import.meta.url));
    this.#child = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#child.on('error', () => undefined);
    this.#child.stdin?.on('error', () => undefined);
    this.#reader = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  async ask(request: object): Promise<Record<string, unknown> | undefined> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { done, value } = await this.#lines.next();
    return done ? undefined : (JSON.parse(value) as Record<string, unknown>);
  }

  close(): void {
    this.#child.stdin?.end();
    this.#reader.close();
    this.#child.kill();
  }
}

async function startOurs(size: Size, directory: string, threads: number): Promise<Engine> {
  const model = gpt(size);
  const graph = writeModel(model);
  const initial = initializeParameters(parametersOf(model), 'bench');
  const self = peerIdOf(new Uint8Array(32).fill(1));
  const run = parseRunConfig({
    ...exampleRun,
    name: 'bench',
    model: { graph: nameBlob(graph).cid, bytes: graph.length },
    data: { kind: 'text', tokenizer: 'bytes', context: size.context },
    batch: size.batch,
    initial: {
      seed: 'bench',
      tensors: nameBlob(new Uint8Array(initial.buffer)).cid,
      parameters: initial.length,
    },
    inner: { ...exampleRun.inner, learningRate: 1e-3 },
    founders: [self],
  });
  const text = join(directory, 'text.txt');
  const random = createRandom('bench');
  const line = (): string => Array.from({ length: 60 }, () => random.below(36).toString(36)).join('');
  writeFileSync(text, Array.from({ length: 8_000 }, line).join('\n'));
  const data = [text];
  const engine = await createEngine({
    run,
    runId: runIdOf(run),
    self,
    graph,
    directory,
    data,
    threads,
    niceness: 0,
  });
  await engine.open(cidOf(new TextEncoder().encode('genesis'), 'dag-cbor'));
  return engine;
}

async function compare(size: Size, threads: number): Promise<StepFigures & { readonly memoryMB: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'murmuration-bench-'));
  const pytorch = new PyTorch();
  const engine = await startOurs(size, directory, threads);
  try {
    const { steps, ...config } = size;
    const hasPyTorch = (await pytorch.ask({ ...config, threads })) !== undefined;
    const tokens = size.batch * size.context;
    const turnOfOurs = async (): Promise<number> =>
      (tokens * 1_000) / (await engine.train({ steps, round: 0 })).tokensPerSecond;
    const turnOfPyTorch = async (): Promise<number> => {
      const answer = await pytorch.ask({ steps });
      const times = answer?.ms as number[];
      return times.reduce((sum, ms) => sum + ms, 0) / times.length;
    };
    await turnOfOurs();
    if (hasPyTorch) await turnOfPyTorch();
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      await setTimeout(pauseMs);
      ours.push(await turnOfOurs());
      await setTimeout(pauseMs);
      if (hasPyTorch) theirs.push(await turnOfPyTorch());
    }
    return {
      oursMs: median(ours),
      pytorchMs: hasPyTorch ? median(theirs) : undefined,
      ratio: hasPyTorch ? median(ours.map((ms, pair) => ms / (theirs[pair] as number))) : undefined,
      memoryMB: (await engine.memory()) / 2 ** 20,
    };
  } finally {
    pytorch.close();
    await engine.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

const round = (value: number | undefined): number | undefined =>
  value === undefined ? undefined : Math.round(value * 1_000) / 1_000;

/** Answers the question `step`: prints a table, returns its figures. */
export async function bench(): Promise<object> {
  const threads = availableParallelism();
  console.log(`one inner step, ${threads} threads, median of ${pairs} pairs`);
  console.log('model   ours ms   PyTorch ms   ratio   engine MB');
  const step: Record<string, StepFigures> = {};
  for (const [name, size] of Object.entries(sizes)) {
    const { memoryMB, ...figures } = await compare(size, threads);
    const { oursMs, pytorchMs, ratio } = figures;
    const cell = (value: number | undefined, digits: number, width: number): string =>
      (value === undefined ? '–' : value.toFixed(digits)).padStart(width);
    console.log(
      `${name.padEnd(5)}${cell(oursMs, 1, 10)}${cell(pytorchMs, 1, 13)}${cell(ratio, 2, 8)}${cell(memoryMB, 0, 12)}`,
    );
    step[name] = { oursMs: round(oursMs) as number, pytorchMs: round(pytorchMs), ratio: round(ratio) };
  }
  if (Object.values(step).some(({ ratio }) => ratio === undefined))
    console.log(
      'PyTorch is missing, so only ours was timed. To compare: pip install torch (CPU build), then again.',
    );
  return { step };
}
