import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const source = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** Graphs that onnxruntime refuses when it loads one, and when it runs one, in each kind of session. */
const script = `
  const { createGraphBuilder, int } = await import('@murmuration/onnx');
  const { createInPlaceSession, createSession, runSession } = await import(${source('../src/session.ts')});
  const { Tensor } = await import('onnxruntime-node');
  const graph = (operator) => {
    const builder = createGraphBuilder('rows');
    builder.input('table', 'float32', [2]);
    builder.input('row', 'int64', [1]);
    builder.node(operator, ['table', 'row'], {}, 'y');
    builder.output('y', 'float32', ['n']);
    return builder.model();
  };
  const feeds = { table: new Tensor('float32', [1, 2], [2]), row: new Tensor('int64', [9n], [1]) };
  const say = ({ code }) => console.log(code);
  await createSession(graph('Frobnicate'), 1).catch(say);
  await runSession(await createSession(graph('Gather'), 1), feeds, ['y']).catch(say);
  const fetches = { y: new Tensor('float32', new Float32Array(1), [1]) };
  await (await createInPlaceSession(graph('Gather'), 1)).run(feeds, fetches).catch(say);`;

test('sessions fail with an error, and without lines of onnxruntime beside it', () => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=murmuration-source', '--input-type=module', '-e', script],
    { cwd: new URL('..', import.meta.url), encoding: 'utf8' },
  );
  assert.deepEqual({ stdout, stderr }, { stdout: 'bad-graph\n'.repeat(3), stderr: '' });
});
