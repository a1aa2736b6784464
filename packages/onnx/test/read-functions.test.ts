import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { allNodes, checkModel, OnnxError, readModel, simplifyModel } from '../src/index.ts';
import { assertClose, noise, runModel, tensor, type Values } from './run-model.ts';

const fixture = (name: string): Buffer => readFileSync(new URL(`./fixtures/${name}`, import.meta.url));

/** What onnxruntime makes of the file itself. */
async function runFile(name: string, feeds: Readonly<Record<string, Tensor>>): Promise<Values> {
  const session = await InferenceSession.create(fixture(name), { logSeverityLevel: 4, intraOpNumThreads: 1 });
  return (await session.run(feeds)) as unknown as Values;
}

test('readModel puts the nodes of local functions in the place of their calls', async () => {
  const model = readModel(fixture('functions.onnx'));
  checkModel(model);
  assert.deepEqual(model.opsets, { '': 20 });
  assert.ok(allNodes(model).every(({ domain }) => domain === ''));
  const x = noise([2, 3], 'x');
  for (const flag of [0, 1]) {
    const expected = await runFile('functions.onnx', {
      x: new Tensor('float32', x.data as Float32Array, [2, 3]),
      flag: new Tensor('bool', Uint8Array.of(flag), []),
    });
    const feeds = { x, flag: tensor([], [flag], 'bool') };
    assertClose(await runModel(model, feeds), expected, 0);
    assertClose(await runModel(simplifyModel(model), feeds), expected, 0);
  }
});

test('readModel reads sparse tensors as dense ones', async () => {
  const model = readModel(fixture('sparse.onnx'));
  checkModel(model);
  const x = noise([2, 3], 'x');
  const expected = await runFile('sparse.onnx', { x: new Tensor('float32', x.data as Float32Array, [2, 3]) });
  assertClose(await runModel(model, { x }), expected, 0);
  assertClose(await runModel(simplifyModel(model), { x }), expected, 0);
  assert.deepEqual(
    model.graph.initializers.map(({ name, data }) => [name, [...data]]),
    [
      ['flat', [1, 0, 0, 0, 2, 0]],
      ['pairs', [0, 3, 0, 0, 0, 4]],
    ],
  );
});

/** A message as its fields: numbers, texts, messages. */
type Fields = readonly (readonly [number: number, value: number | string | Uint8Array])[];

function message(fields: Fields): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields)
    if (typeof value === 'number') writer.tag(number, WireType.Varint).int64(value);
    else {
      const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
      writer.tag(number, WireType.LengthDelimited).bytes(bytes);
    }
  return writer.finish();
}

const opset = (version: number): Uint8Array => message([[2, version]]);
const call = (name: string, input: string, output: string): Uint8Array =>
  message([
    [1, input],
    [2, output],
    [4, name],
    [7, 'local'],
  ]);

/** A function x → y of the given nodes. */
const functionOf = (name: string, nodes: readonly Uint8Array[], version = 20): Uint8Array =>
  message([
    [1, name],
    [4, 'x'],
    [5, 'y'],
    ...nodes.map((node) => [7, node] as const),
    [9, opset(version)],
    [10, 'local'],
  ]);

const modelOf = (functions: readonly Uint8Array[], calls: readonly Uint8Array[]): Uint8Array =>
  message([
    [1, 9],
    [7, message(calls.map((each) => [1, each] as const))],
    [8, opset(20)],
    ...functions.map((each) => [25, each] as const),
  ]);

const refused = (bytes: Uint8Array, code: OnnxError['code'], text: RegExp): void =>
  assert.throws(
    () => readModel(bytes),
    (error) => {
      assert.ok(error instanceof OnnxError, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, text);
      return true;
    },
  );

test('readModel refuses functions that call themselves', () => {
  const loop = [functionOf('f', [call('g', 'x', 'y')]), functionOf('g', [call('f', 'x', 'y')])];
  refused(modelOf(loop, [call('f', 'a', 'b')]), 'unsupported', /no recursion/);
});

test('readModel refuses functions that multiply without end', () => {
  const doubling = Array.from({ length: 31 }, (_, level) =>
    functionOf(`f${level}`, [call(`f${level + 1}`, 'x', 'z'), call(`f${level + 1}`, 'z', 'y')]),
  );
  const leaf = functionOf('f31', [
    message([
      [1, 'x'],
      [2, 'y'],
      [4, 'Neg'],
    ]),
  ]);
  refused(modelOf([...doubling, leaf], [call('f0', 'a', 'b')]), 'unsupported', /at most 300000 nodes/);
  const deep = Array.from({ length: 40 }, (_, level) =>
    functionOf(`f${level}`, [call(`f${level + 1}`, 'x', 'y')]),
  );
  refused(modelOf(deep, [call('f0', 'a', 'b')]), 'unsupported', /at most 32 calls/);
});

/** A graph as an attribute. */
const graphAttribute = (name: string, nodes: readonly Uint8Array[]): Uint8Array =>
  message([
    [1, name],
    [20, 5],
    [6, message(nodes.map((node) => [1, node] as const))],
  ]);

const neg = message([
  [1, 'x'],
  [2, 'z'],
  [4, 'Neg'],
]);

test('readModel refuses functions that multiply the graphs in their attributes', () => {
  const graph = graphAttribute(
    'g',
    Array.from({ length: 1_000 }, () => neg),
  );
  const reference = message([
    [1, 'then_branch'],
    [20, 5],
    [21, 'g'],
  ]);
  const branch = message([
    [1, 'x'],
    [2, 'y'],
    [4, 'If'],
    [5, reference],
  ]);
  const branches = functionOf(
    'f',
    Array.from({ length: 1_000 }, () => branch),
  );
  const callWithGraph = Buffer.concat([call('f', 'a', 'b'), message([[5, graph]])]);
  refused(modelOf([branches], [callWithGraph]), 'unsupported', /at most 300000 nodes/);
  const withDefault = Buffer.concat([functionOf('f', [neg]), message([[11, graph]])]);
  const calls = Array.from({ length: 1_000 }, () => call('f', 'a', 'b'));
  refused(modelOf([withDefault], calls), 'unsupported', /at most 300000 nodes/);
});

test('readModel refuses functions that call themselves in a default of an attribute', () => {
  const own = graphAttribute('g', [call('f', 'x', 'y')]);
  const recursive = Buffer.concat([functionOf('f', [neg]), message([[11, own]])]);
  refused(modelOf([recursive], [call('f', 'a', 'b')]), 'unsupported', /no recursion/);
});

test('readModel refuses functions of another opset than the model', () => {
  refused(modelOf([functionOf('f', [], 18)], []), 'unsupported', /expected opset 20 .* got 18/);
});
