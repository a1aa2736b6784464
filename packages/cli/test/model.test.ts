import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  createGraphBuilder,
  embedParameters,
  float32Tensor,
  gpt,
  graphAttribute,
  initializeParameters,
  int,
  type Model,
  parametersOf,
  renameGraph,
  writeModel,
} from '@murmuration/onnx';
import { murmur } from './murmur-process.ts';

const run = (...args: string[]) =>
  spawnSync(process.execPath, [murmur, ...args], { encoding: 'utf8', timeout: 180_000 });

/** A transformer that knows 16 positions, as a file: tokens → logits. */
function textModelFile(): Model {
  const model = gpt({ vocabulary: 260, context: 16, width: 16, layers: 1, heads: 2 });
  return embedParameters(model, initializeParameters(parametersOf(model), 'model'));
}

/** Tokens → logits by a table, a layer that is read twice, and a head that is a copy of the table. */
function copiedHead(): Model {
  const builder = createGraphBuilder('copied');
  builder.input('tokens', 'int64', ['n', 'time']);
  const values = Float32Array.from({ length: 260 * 3 }, (_, index) => Math.sin(index));
  builder.initializer(float32Tensor('table', values, [260, 3]));
  builder.initializer(float32Tensor('layer', values.subarray(0, 9), [3, 3]));
  builder.initializer(float32Tensor('head', values, [260, 3]));
  let hidden = builder.node('Gather', ['table', 'tokens']);
  for (let time = 0; time < 2; time++)
    hidden = builder.node('Tanh', [builder.node('MatMul', [hidden, 'layer'])]);
  builder.node('MatMul', [hidden, builder.node('Transpose', ['head'])], {}, 'logits');
  builder.output('logits', 'float32', ['n', 'time', 260]);
  return builder.model();
}

/** The mean of x·w after so many turns of a loop, plus that of a bias which no ReLU lets through. */
function looped(turns: number): Model {
  const builder = createGraphBuilder('looped');
  builder.input('x', 'float32', ['n', 2]);
  builder.initializer(float32Tensor('w', [1, 2], [2, 1]));
  builder.initializer(float32Tensor('dead', [-9, -9], [2]));
  const body = builder.subgraph('body');
  body.input('turn', 'int64', []);
  const goes = body.input('goes', 'bool', []);
  const carried = body.input('carried', 'float32', ['n', 1]);
  body.output(body.node('Identity', [goes]), 'bool', []);
  body.output(body.node('Add', [carried, body.float32(1)]), 'float32', ['n', 1]);
  const start = builder.node('MatMul', ['x', 'w']);
  const end = builder.node('Loop', [builder.int64(turns), '', start], { body: graphAttribute(body.graph()) });
  const sum = builder.node('Add', [end, builder.node('Relu', ['dead'])]);
  builder.output(builder.node('ReduceMean', [sum], { keepdims: int(0) }), 'float32', []);
  return builder.model();
}

/** The model with the sizes of its tokens as numbers. */
const withSizes = (model: Model, shape: readonly number[]): Model => ({
  ...model,
  graph: { ...model.graph, inputs: model.graph.inputs.map((input) => ({ ...input, shape })) },
});

describe('a model from a file', () => {
  let directory = '';
  const text = ['--samples', 'text', '--loss', 'cross-entropy'];
  const write = (name: string, model: Model): string => {
    const path = join(directory, name);
    writeFileSync(path, writeModel(model));
    return path;
  };
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'murmuration-model-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('init refuses a context or a batch that the file does not take', () => {
    const store = join(directory, 'refused');
    const init = (file: string, ...options: string[]) =>
      run('init', '--store', store, '--model', file, ...text, ...options);
    const open = write('open.onnx', textModelFile());
    const fixed = write('fixed.onnx', withSizes(textModelFile(), [4, 16]));
    for (const [refused, expected] of [
      [
        init(open, '--context', '17'),
        /--context: expected as many tokens as the model takes, got 17: .*\[16,16\]/,
      ],
      [init(fixed, '--batch', '4'), /--context: expected 16, as the file's tokens, got 128/],
      [init(fixed, '--context', '16'), /--batch: expected 4, as the file's tokens, got 8/],
    ] as const) {
      assert.equal(refused.status, 2, refused.stderr);
      assert.match(refused.stderr, expected);
    }
    assert.ok(!existsSync(store));
    const taken = init(fixed, '--context', '16', '--batch', '4');
    assert.equal(taken.status, 0, taken.stderr);
  });

  test('its names cannot steer the terminal', () => {
    const model = textModelFile();
    const hostile = {
      ...model,
      producer: 'p\u001b[2Jq',
      graph: renameGraph(model.graph, (name) => `${name}\u001b[31m\u009b2J`),
    };
    const file = write('hostile.onnx', hostile);
    const shown = run('model', 'show', file, ...text);
    assert.equal(shown.status, 0, shown.stderr);
    assert.match(shown.stdout, /tokens \[31m 2J {2}int64/);
    const missing = run('model', 'show', join(directory, 'none\u001b[2J.onnx'));
    assert.equal(missing.status, 1);
    const written = [shown.stdout, missing.stderr].join('').replaceAll('\n', '');
    assert.doesNotMatch(written, /\p{Cc}/u);
  });

  test('options that contradict each other are a usage error, and no reason why nothing would train', () => {
    const file = write('model.onnx', textModelFile());
    for (const command of ['show', 'check']) {
      const { status, stderr } = run('model', command, file, '--tokens', 'tokens');
      assert.equal(status, 2);
      assert.match(stderr, /--tokens, --targets: expected together with --samples text/);
    }
  });

  test('show and init say which weights are one, unless that is not wanted', () => {
    const file = write('copied.onnx', copiedHead());
    const shown = run('model', 'show', file, ...text);
    assert.match(shown.stdout, /in 2 tensors:/);
    assert.match(shown.stdout, /layer .* read by 2 nodes/);
    assert.match(shown.stdout, /^tied: head = table$/m);
    const apart = run('model', 'show', file, ...text, '--no-tying');
    assert.match(apart.stdout, /in 3 tensors:/);
    assert.doesNotMatch(apart.stdout, /tied/);
    const founded = run('init', '--store', join(directory, 'tied'), '--model', file, ...text);
    assert.match(founded.stdout, /^tied: head = table$/m);
    const stray = run('init', '--store', join(directory, 'fresh'), '--no-tying');
    assert.equal(stray.status, 2);
    assert.match(stray.stderr, /--no-tying: expected together with --model FILE/);
  });

  test('check says what it has not seen', () => {
    const file = write('dead.onnx', looped(2));
    const checked = run('model', 'check', file, '--threads', '1');
    assert.equal(checked.status, 0, checked.stderr);
    assert.match(checked.stdout, /1 agree with finite differences, 1 had no gradient on these samples/);
  });

  test('check takes samples', () => {
    const file = write('sampled.onnx', copiedHead());
    const samples = join(directory, 'samples.txt');
    writeFileSync(
      samples,
      Array.from({ length: 2_000 }, (_, index) => `what ${index} people write\n`).join(''),
    );
    const checked = run('model', 'check', file, ...text, '--data', samples, '--threads', '1');
    assert.match(checked.stdout, /^loss .* on .*samples\.txt$/m);
    assert.match(checked.stdout, /2 agree with finite differences$/m);
    const missing = run('model', 'check', file, ...text, '--data', join(directory, 'nowhere'));
    assert.equal(missing.status, 2);
  });

  test('check ends at its time limit, and by Ctrl-C', { timeout: 240_000 }, async () => {
    const file = write('endless.onnx', looped(1e15));
    const late = run('model', 'check', file, '--time-limit', '3');
    assert.equal(late.status, 1);
    assert.match(late.stdout, /cannot be checked: expected the check to end within 3 s/);
    const check = spawn(process.execPath, [murmur, 'model', 'check', file], { stdio: 'ignore' });
    setTimeout(() => check.kill('SIGINT'), 8_000);
    const [exitCode] = await once(check, 'exit');
    assert.equal(exitCode, 130);
  });
});
