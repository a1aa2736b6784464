import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  embedParameters,
  gpt,
  initializeParameters,
  type Model,
  parametersOf,
  renameGraph,
  writeModel,
} from '@murmuration/onnx';

const murmur = fileURLToPath(new URL('../bin/murmur.js', import.meta.url));
const run = (...args: string[]) =>
  spawnSync(process.execPath, [murmur, ...args], { encoding: 'utf8', timeout: 60_000 });

/** A transformer that knows 16 positions, as a file: tokens → logits. */
function textModelFile(): Model {
  const model = gpt({ vocabulary: 260, context: 16, width: 16, layers: 1, heads: 2 });
  return embedParameters(model, initializeParameters(parametersOf(model), 'model'));
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
});
