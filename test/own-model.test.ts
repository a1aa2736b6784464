/** Runs around models that come from a file: a network exported by PyTorch on arrays, adapters beside a text model. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { createRandom } from '../packages/base/src/index.ts';
import { PeerProcess } from '../packages/cli/src/demo/peer-process.ts';
import {
  embedParameters,
  gpt,
  initializeParameters,
  parametersOf,
  readModel,
  writeModel,
} from '../packages/onnx/src/index.ts';
import type { PeerEvent } from '../packages/peer/src/index.ts';

const murmur = fileURLToPath(new URL('../packages/cli/bin/murmur.js', import.meta.url));
const mobileNet = new URL(
  '../packages/autodiff/test/models/fixtures/exported/mobilenet-v2/script-17-train-logits.onnx.gz',
  import.meta.url,
);
const rounds = 6;
const classes = 5;
const samples = 120;

/** An array file of NumPy's format 1.0. */
function npy(type: '<f4' | '<i8', shape: readonly number[], data: Float32Array | BigInt64Array): Uint8Array {
  const facts = `{'descr': '${type}', 'fortran_order': False, 'shape': (${shape.join(', ')},), }`;
  const header = facts.padEnd(Math.ceil((10 + facts.length + 1) / 64) * 64 - 11);
  const start = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${header}\n`, 'latin1');
  start.writeUInt16LE(header.length + 1, 8);
  return Buffer.concat([start, new Uint8Array(data.buffer)]);
}

/** Noisy images whose brightness in one band tells the class. */
function writeImages(folder: string, seed: string): void {
  const random = createRandom(seed);
  const images = new Float32Array(samples * 3 * 32 * 32);
  const targets = new BigInt64Array(samples);
  for (let sample = 0; sample < samples; sample++) {
    const label = random.below(classes);
    targets[sample] = BigInt(label);
    for (let i = 0; i < 3 * 32 * 32; i++) {
      const band = Math.floor((i % 1_024) / 32 / 6.4);
      images[sample * 3_072 + i] = random.unit() - 0.5 + (band === label ? 1 : 0);
    }
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'image.npy'), npy('<f4', [samples, 3, 32, 32], images));
  writeFileSync(join(folder, 'targets.npy'), npy('<i8', [samples], targets));
}

describe('two peers train a model from a file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'murmuration-own-'));
  const peers: PeerProcess[] = [];
  after(async () => {
    await Promise.all(peers.map((peer) => peer.stop()));
    rmSync(directory, { recursive: true, force: true });
  });

  const call = (...command: string[]): string =>
    execFileSync(process.execPath, [murmur, ...command], { encoding: 'utf8', timeout: 180_000 });

  /** Founds a run, lets two peers finish it, and gives the losses that the founder contributed. */
  async function trainTogether(
    name: string,
    init: readonly string[],
    dataOf: (peer: string) => string,
  ): Promise<readonly number[]> {
    const store = (peer: string): string => join(directory, `${name}-${peer}`);
    const losses: number[] = [];
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined);
    const options = (peer: string): string[] => [
      ...['--store', store(peer), '--data', dataOf(peer)],
      ...['--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns', '--threads', '1'],
    ];
    const run = (
      peer: string,
      command: readonly string[],
    ): { process: PeerProcess; ended: Promise<void> } => {
      const ended = Promise.withResolvers<void>();
      const process = new PeerProcess({
        language: peer,
        directory: store(peer),
        command: [...command, ...options(peer)],
        onEvent: (event: PeerEvent) => {
          if (event.kind === 'ended') ended.resolve();
          if (event.kind === 'contributed' && peer === 'founder') losses.push(event.loss);
        },
        onCrash: failed.reject,
      });
      peers.push(process);
      return { process, ended: Promise.race([ended.promise, failed.promise]) };
    };
    const other = JSON.parse(call('id', '--store', store('other'), '--json')) as { peer: string };
    const founded = JSON.parse(
      call('init', '--store', store('founder'), '--founder', other.peer, '--json', ...init),
    ) as { link: string };
    const founder = run('founder', ['start']);
    const address = await founder.process.start();
    const joiner = run('other', ['join', `${founded.link}?peer=${encodeURIComponent(address)}`]);
    await joiner.process.start();
    await Promise.all([founder.ended, joiner.ended]);
    assert.match(founder.process.endRoot ?? '', /^[0-9a-f]{64}$/);
    assert.equal(founder.process.endRoot, joiner.process.endRoot);
    await Promise.all([founder.process.stop(), joiner.process.stop()]);
    return losses;
  }

  test('arrays: a convolutional network with batch normalization learns', { timeout: 280_000 }, async () => {
    const file = join(directory, 'mobilenet.onnx');
    writeFileSync(file, gunzipSync(readFileSync(mobileNet)));
    const dataOf = (peer: string): string => join(directory, `images-${peer}`);
    for (const peer of ['founder', 'other']) writeImages(dataOf(peer), peer);
    const losses = await trainTogether(
      'images',
      [
        ...['--model', file, '--loss', 'cross-entropy', '--rounds', String(rounds), '--steps', '12'],
        ...['--batch', '16', '--learning-rate', '0.01', '--schedule', 'constant', '--grace', '20'],
      ],
      dataOf,
    );
    const [first = 0] = losses;
    const last = losses.at(-1) ?? Number.POSITIVE_INFINITY;
    assert.ok(last < 0.75 * first, `losses ${losses}`);
    const store = join(directory, 'images-founder');
    assert.match(call('log', '--store', store, '--last', '1'), /\S+ samples in \d+ steps/);
    assert.match(call('status', '--store', store), /\S+ samples\/s/);
    const evaluated = call('eval', '--store', store, '--data', dataOf('other'));
    assert.match(evaluated, /^loss \d+\.\d{4} on \S+\n$/);
    const exported = join(directory, 'trained.onnx');
    call('export', exported, '--store', store);
    const { graph } = readModel(readFileSync(exported));
    assert.deepEqual(
      [graph.inputs, graph.outputs].map((list) => list.map(({ name }) => name)),
      [['image'], ['logits']],
    );
    assert.ok(graph.initializers.length > 50);
  });

  test('text: adapters train and travel, the weights beside them are fetched once', {
    timeout: 280_000,
  }, async () => {
    const model = gpt({ vocabulary: 260, context: 64, width: 64, layers: 2, heads: 2 });
    const file = join(directory, 'base.onnx');
    const weights = initializeParameters(parametersOf(model), 'base');
    writeFileSync(file, writeModel(embedParameters(model, weights)));
    const dataOf = (peer: string): string => join(directory, `${peer}.txt`);
    for (const peer of ['founder', 'other'])
      writeFileSync(
        dataOf(peer),
        Array.from({ length: 500 }, (_, line) => `${peer} writes line ${line}, then line ${line + 1}.`).join(
          '\n',
        ),
      );
    const losses = await trainTogether(
      'text',
      [
        ...['--model', file, '--samples', 'text', '--context', '32', '--loss', 'cross-entropy'],
        ...['--train', 'lora:r=4,targets=attention,mlp', '--optimizer', 'muon', '--accumulate', '2'],
        ...['--rounds', String(rounds), '--steps', '6', '--schedule', 'wsd', '--learning-rate', '0.02'],
      ],
      dataOf,
    );
    assert.ok((losses.at(-1) ?? 0) < (losses[0] ?? 0) - 0.2, `losses ${losses}`);
    const [beside, merged] = ['beside.onnx', 'merged.onnx'].map((name) => join(directory, name)) as [
      string,
      string,
    ];
    const store = join(directory, 'text-other');
    call('export', beside, '--store', store);
    call('export', merged, '--store', store, '--merge');
    const nodes = (path: string): number => readModel(readFileSync(path)).graph.nodes.length;
    assert.ok(nodes(merged) < nodes(beside));
    const write = (path: string): string =>
      call('generate', '--model', path, '--prompt', 'founder writes', '--bytes', '8', '--temperature', '0');
    assert.equal(write(merged), write(beside));
  });
});
