/** From a file with weights inside to a run: what `prepareTraining` makes, the engine trains. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { prepareTraining, type Trainable } from '@murmuration/autodiff';
import {
  createRandom,
  exampleRun,
  nameBlob,
  parseRunConfig,
  type RunConfig,
  runIdOf,
} from '@murmuration/base';
import {
  createGraphBuilder,
  initializeParameters,
  type Model,
  parametersOf,
  readModel,
  writeModel,
} from '@murmuration/onnx';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { bytesOf, npyFile } from './arrays.ts';
import { genesis, peer, type Setting, startEngine, temporaryFolder } from './setting.ts';

const width = 48;
const classes = 3;
const random = createRandom('prepared');
const draws = (length: number, limit: number): Float32Array =>
  Float32Array.from({ length }, () => limit * (2 * random.unit() - 1));

/** scores = relu(dropout(x · first)) · second, as an exporter writes it. */
function exportedFile(): Uint8Array {
  const graph = createGraphBuilder('exported');
  const x = graph.input('x', 'float32', ['n', width]);
  const weight = (name: string, shape: readonly [number, number]): string =>
    graph.initializer({ name, type: 'float32', shape, data: draws(shape[0] * shape[1], 0.2) });
  const on = graph.initializer({ name: 'on', type: 'bool', shape: [], data: Uint8Array.of(1) });
  const product = graph.node('MatMul', [x, weight('first', [width, width])]);
  const dropped = graph.node('Dropout', [product, graph.float32(0.1), on]);
  const scores = graph.node('MatMul', [graph.node('Relu', [dropped]), weight('second', [width, classes])]);
  graph.output(graph.node('Identity', [scores], {}, 'scores'), 'float32', ['n', classes]);
  return writeModel(graph.model());
}
const file = exportedFile();

/** Arrays `x` and `targets`: which of the first three values is the largest. */
function writeArrays(folder: string): string {
  const rows = 600;
  const x = draws(rows * width, 1);
  const targets = BigInt64Array.from({ length: rows }, (_, row) => {
    const first = [...x.subarray(row * width, row * width + classes)];
    return BigInt(first.indexOf(Math.max(...first)));
  });
  mkdirSync(folder);
  writeFileSync(join(folder, 'x.npy'), npyFile('<f4', [rows, width], bytesOf(x)));
  writeFileSync(join(folder, 'targets.npy'), npyFile('<i8', [rows], bytesOf(targets)));
  return folder;
}

const cid = (values: Float32Array): string => nameBlob(bytesOf(values)).cid;

/** A run on the prepared model; weights that the file has are files, adapters come from the seed. */
function settingFor(
  { model, parameters, frozen }: ReturnType<typeof prepareTraining>,
  folder: string,
): Setting & { readonly weights: { readonly initial?: string; readonly frozen?: string } } {
  const graph = writeModel(model);
  const path = (name: string, values: Float32Array): string => {
    writeFileSync(join(folder, name), bytesOf(values));
    return join(folder, name);
  };
  const given = parameters.length > 0;
  const first = given ? parameters : initializeParameters(parametersOf(model), 'seed');
  const initial = { tensors: cid(first), parameters: first.length, ...(given ? {} : { seed: 'seed' }) };
  const stored = frozen.length > 0 ? { frozen: { tensors: cid(frozen), values: frozen.length } } : {};
  const run: RunConfig = parseRunConfig({
    ...exampleRun,
    data: { kind: 'arrays' },
    batch: 16,
    model: { graph: nameBlob(graph).cid, bytes: graph.length, ...stored },
    initial,
    founders: [peer(1)],
  });
  return {
    ...{ run, runId: runIdOf(run), graph },
    weights: {
      ...(given ? { initial: path('initial', parameters) } : {}),
      ...(frozen.length > 0 ? { frozen: path('frozen', frozen) } : {}),
    },
  };
}

const cases: readonly [name: string, trains: Trainable, parameters: number, frozen: number][] = [
  ['all weights', { kind: 'all' }, width * width + width * classes, 0],
  ['adapters', { kind: 'lora', rank: 4, targets: ['first'] }, 2 * 4 * width, width * width],
];

for (const [name, trains, parameters, frozen] of cases)
  test(`Engine trains ${name} of a file, and exports a file that needs nothing else`, async (t) => {
    const folder = temporaryFolder(t);
    const prepared = prepareTraining(readModel(file), { loss: { kind: 'cross-entropy' }, trains });
    const { weights, ...setting } = settingFor(prepared, folder);
    assert.equal(setting.run.initial.parameters, parameters);
    assert.equal(setting.run.model.frozen?.values ?? 0, frozen);
    const data = [writeArrays(join(folder, 'arrays'))];
    const engine = await startEngine(t, setting, { data, weights });
    await engine.open(genesis);
    const before = await engine.evaluate();
    await engine.train({ steps: 300, round: 0 });
    const after = await engine.evaluate({ parameters: 'local' });
    assert.ok(after.loss < 0.8 * before.loss, `${before.loss} → ${after.loss}`);
    const path = join(folder, 'model.onnx');
    await engine.exportOnnx(path);
    const session = await InferenceSession.create(path);
    assert.deepEqual([session.inputNames, session.outputNames], [['x'], ['scores']]);
    const original: Model = readModel(file);
    const plain = await InferenceSession.create(
      writeModel({
        ...original,
        graph: {
          ...original.graph,
          nodes: original.graph.nodes.map((node) =>
            node.operator === 'Dropout' ? { ...node, inputs: node.inputs.slice(0, 1) } : node,
          ),
        },
      }),
    );
    const feeds = { x: new Tensor('float32', draws(2 * width, 1), [2, width]) };
    const [ours, theirs] = [await session.run(feeds), await plain.run(feeds)];
    const [scores, expected] = [ours, theirs].map((outputs) => [...(outputs.scores as Tensor).data]);
    assert.equal(scores?.length, 2 * classes);
    scores.forEach((value, i) => {
      assert.ok(Math.abs(Number(value) - Number(expected?.[i])) < 1e-5, 'θ is still that of the file');
    });
  });
