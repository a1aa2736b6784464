/** What the demo measures after the run: the common model and a peer alone, on every language's held-out text. */
import { rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { assert } from '@murmuration/base';
import { createEngine } from '@murmuration/engine';
import { openOffline } from '@murmuration/peer';
import { CliError } from '../errors.ts';
import { evaluationBytesMax, languageName } from './defaults.ts';
import type { DemoRun } from './demo.ts';

/** Bits per byte by language. */
export type Losses = Readonly<Record<string, number>>;

export interface Measurement {
  readonly common: Losses;
  /** By the language that the lone peer trained on. */
  readonly alone: Readonly<Record<string, Losses>>;
  readonly exported: string;
}

export interface MeasureOptions {
  readonly directory: string;
  /** Languages of the peers that train alone, for as many steps as their twins in the run. */
  readonly solo: readonly string[];
  readonly languages: readonly string[];
  onProgress(text: string): void;
}

function ofText(bitsPerByte: number | undefined): number {
  assert(bitsPerByte !== undefined, 'the demo trains on text');
  return bitsPerByte;
}

type Offline = Awaited<ReturnType<typeof openOffline>>;

export async function measure(run: DemoRun, options: MeasureOptions): Promise<Measurement> {
  const first = run.peers[0];
  assert(first, 'the demo has peers');
  const offline = await openOffline({ directory: first.directory, threads: availableParallelism() });
  try {
    if (offline.round !== run.rounds)
      throw new CliError(
        `the ${languageName(first.language)} peer's engine stands at round ${offline.round}, not ${run.rounds}`,
        {
          code: 'demo-failed',
          round: offline.round,
        },
      );
    const common: Record<string, number> = {};
    for (const language of options.languages) {
      options.onProgress(`measuring the common model on held-out ${languageName(language)}`);
      const { bitsPerByte } = await offline.engine.evaluate({
        data: [run.textFolder(language)],
        part: 'held-out',
        bytesMax: evaluationBytesMax,
      });
      common[language] = ofText(bitsPerByte);
    }
    const exported = join(options.directory, 'model.onnx');
    await offline.engine.exportOnnx(exported);
    const alone: Record<string, Losses> = {};
    for (const language of options.solo) alone[language] = await trainAlone(run, language, offline, options);
    return { common, alone, exported };
  } finally {
    await offline.close();
  }
}

/** The same engine, the same first parameters, schedule and number of steps; no deltas, no other peers. */
async function trainAlone(
  run: DemoRun,
  language: string,
  offline: Offline,
  options: MeasureOptions,
): Promise<Losses> {
  const twin = run.peers.find((peer) => peer.language === language);
  const steps = twin?.status?.step ?? 0;
  const directory = join(options.directory, 'alone', language);
  rmSync(directory, { recursive: true, force: true });
  const graph = await offline.store.getBlob(offline.run.model.graph);
  const runId = offline.store.runId;
  assert(graph && runId, 'an opened run has its graph');
  const engine = await createEngine({
    run: offline.run,
    runId,
    self: offline.store.identity.peer,
    graph,
    directory,
    data: [run.textFolder(language)],
    threads: availableParallelism(),
    niceness: 0,
  });
  try {
    await engine.open(offline.genesis);
    for (let round = 0, done = 0; done < steps; round++) {
      const target = Math.round(((round + 1) * steps) / run.rounds);
      if (target > done) await engine.train({ steps: target - done, round });
      done = Math.max(done, target);
      if (round % 10 === 0) options.onProgress(`${languageName(language)} alone: step ${done} of ${steps}`);
    }
    const losses: Record<string, number> = {};
    for (const other of options.languages) {
      options.onProgress(`measuring ${languageName(language)} alone on held-out ${languageName(other)}`);
      const { bitsPerByte } = await engine.evaluate({
        data: [run.textFolder(other)],
        part: 'held-out',
        parameters: 'local',
        bytesMax: evaluationBytesMax,
      });
      losses[other] = ofText(bitsPerByte);
    }
    return losses;
  } finally {
    await engine.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
