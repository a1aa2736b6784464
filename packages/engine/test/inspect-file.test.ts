import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createRandom, MiB } from '@murmuration/base';
import {
  createGraphBuilder,
  float32Tensor,
  graphAttribute,
  int,
  type Model,
  writeModel,
} from '@murmuration/onnx';
import { inspectFile } from '../src/index.ts';
import { bytesOf, npyFile } from './arrays.ts';

const options = {
  request: { loss: { kind: 'output' }, trains: { kind: 'all' } },
  sizes: { batch: 4, context: 6, named: {} },
  threads: 1,
} as const;

/** The mean of x·w, repeated by `grow`. */
function meanOf(grow: (builder: ReturnType<typeof createGraphBuilder>, value: string) => string): Model {
  const builder = createGraphBuilder('mean');
  builder.input('x', 'float32', ['n', 4]);
  builder.initializer(float32Tensor('w', [1, 2, 3, 4, 5, 6, 7, 8], [4, 2]));
  const grown = grow(builder, builder.node('MatMul', ['x', 'w']));
  builder.output(builder.node('ReduceMean', [grown], { keepdims: int(0) }), 'float32', []);
  return builder.model();
}

/** Adds 1 to a value so many times. */
function looped(builder: ReturnType<typeof createGraphBuilder>, value: string, turns: number): string {
  const body = builder.subgraph('body');
  body.input('turn', 'int64', []);
  const goes = body.input('goes', 'bool', []);
  const carried = body.input('carried', 'float32', ['n', 2]);
  body.output(body.node('Identity', [goes]), 'bool', []);
  body.output(body.node('Add', [carried, body.float32(1)]), 'float32', ['n', 2]);
  return builder.node('Loop', [builder.int64(turns), '', value], { body: graphAttribute(body.graph()) });
}

/** Looks up words of which lengths count, both inputs as a tagger has them; scores of two classes at each place. */
function tagger(): Model {
  const builder = createGraphBuilder('tagger');
  const random = createRandom('tagger');
  const weight = (name: string, shape: readonly number[]): string => {
    const length = shape.reduce((product, size) => product * size, 1);
    const values = Array.from({ length }, () => 2 * random.unit() - 1);
    return builder.initializer(float32Tensor(name, values, shape));
  };
  builder.input('words', 'int64', ['n', 'time']);
  builder.input('lengths', 'int64', ['n']);
  const rows = builder.node('Gather', [weight('table', [50, 3]), 'words']);
  const sequence = builder.node('Transpose', [rows], { perm: { kind: 'ints', value: [1, 0, 2] } });
  const lengths = builder.node('Cast', ['lengths'], { to: int(6) });
  const gates = [sequence, weight('w', [1, 12, 3]), weight('r', [1, 12, 4]), weight('b', [1, 24]), lengths];
  const hidden = builder.node('GRU', gates, { hidden_size: int(4), linear_before_reset: int(1) });
  const flat = builder.node('Squeeze', [hidden, builder.int64s([1])]);
  const back = builder.node('Transpose', [flat], { perm: { kind: 'ints', value: [1, 0, 2] } });
  builder.output(builder.node('MatMul', [back, weight('out', [4, 2])]), 'float32', ['n', 'time', 2]);
  return builder.model();
}

describe('inspectFile', () => {
  let directory = '';
  const write = (name: string, model: Model): string => {
    const path = join(directory, name);
    writeFileSync(path, writeModel(model));
    return path;
  };
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'murmuration-inspect-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('finds right gradients right', async () => {
    const path = write(
      'plain.onnx',
      meanOf((builder, value) => builder.node('Tanh', [value])),
    );
    const { gradients } = await inspectFile({ ...options, path });
    assert.deepEqual(
      gradients.map(({ parameter, verdict }) => [parameter, verdict]),
      [['w', 'agrees']],
    );
  });

  test('refuses what needs more memory than there is, before it runs', async () => {
    const doubled = (builder: ReturnType<typeof createGraphBuilder>, value: string): string => {
      let each = value;
      for (let time = 0; time < 40; time++) each = builder.node('Concat', [each, each], { axis: int(0) });
      return each;
    };
    const path = write('doubled.onnx', meanOf(doubled));
    await assert.rejects(inspectFile({ ...options, path }, { timeoutMs: 60_000 }), {
      name: 'EngineError',
      code: 'too-much-memory',
    });
  });

  test('ends what never ends at its time limit', { timeout: 30_000 }, async () => {
    const path = write(
      'loop.onnx',
      meanOf((builder, value) => looped(builder, value, 1e15)),
    );
    await assert.rejects(inspectFile({ ...options, path }, { timeoutMs: 4_000 }), {
      name: 'EngineError',
      code: 'timed-out',
    });
  });

  test('ends when it is told to', { timeout: 30_000 }, async () => {
    const path = write(
      'stopped.onnx',
      meanOf((builder, value) => looped(builder, value, 1e15)),
    );
    const signal = AbortSignal.timeout(2_500);
    await assert.rejects(inspectFile({ ...options, path }, { signal }), { code: 'closed' });
  });

  test('ends a process that was seen to take too much', {
    skip: existsSync('/proc/self/status') ? false : 'needs /proc',
    timeout: 30_000,
  }, async () => {
    const path = write(
      'watched.onnx',
      meanOf((builder, value) => looped(builder, value, 1e15)),
    );
    const asked = inspectFile({ ...options, path, memoryMaxBytes: 20 * MiB });
    await assert.rejects(asked, { code: 'too-much-memory' });
  });

  test('throws what a bad file and a bad request throw, with their codes', async () => {
    await assert.rejects(inspectFile({ ...options, path: join(directory, 'none.onnx') }), { code: 'disk' });
    const path = write(
      'named.onnx',
      meanOf((_, value) => value),
    );
    const request = { ...options.request, loss: { kind: 'output', output: 'other' } } as const;
    await assert.rejects(inspectFile({ ...options, path, request }), { code: 'bad-request' });
  });

  const tagging = { loss: { kind: 'cross-entropy' }, trains: { kind: 'all' } } as const;

  test('makes integers up in the range that the graph shows', async () => {
    const path = write('tagger.onnx', tagger());
    const { gradients } = await inspectFile({ ...options, path, request: tagging });
    const found = gradients.map(({ parameter, verdict }) => [parameter, verdict]);
    const names = ['table', 'w', 'r', 'b', 'out'];
    assert.deepEqual(
      found,
      names.map((name) => [name, 'agrees']),
    );
  });

  test('takes samples from files', async () => {
    const path = write('sampled.onnx', tagger());
    const folder = mkdtempSync(join(directory, 'samples-'));
    const zeros = (shape: readonly number[]): Buffer => {
      const length = shape.reduce((product, size) => product * size, 1);
      return npyFile('<i8', shape, bytesOf(new BigInt64Array(length)));
    };
    writeFileSync(join(folder, 'words.npy'), zeros([40, 6]));
    writeFileSync(join(folder, 'targets.npy'), zeros([40, 6]));
    writeFileSync(join(folder, 'lengths.npy'), zeros([40]));
    const asked = { ...options, path, request: tagging, data: [folder], dataKind: 'arrays' } as const;
    const { gradients } = await inspectFile(asked);
    const verdicts = new Map(gradients.map(({ parameter, verdict }) => [parameter, verdict]));
    assert.equal(verdicts.get('w'), 'no-gradient');
    const missing = inspectFile({ ...asked, data: [join(directory, 'nowhere')] });
    await assert.rejects(missing, { code: 'bad-data-path' });
  });
});
