import { join } from 'node:path';
import { readFileSync, writeFileSync, mkdirSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { test } from 'node:test';
import { nameBlob, exampleRun, parseRunConfig, runIdOf } from '@murmuration/base';
import { prepareTraining } from '@murmuration/autodiff';
import { readModel, writeModel, parametersOf } from '@murmuration/onnx';
import { genesis, peer, startEngine, temporaryFolder } from './setting.ts';
import { npyFile, bytesOf } from './arrays.ts';
import { readdirSync } from 'node:fs';
const root = new URL('../../autodiff/test/models/fixtures/', import.meta.url);
const files = ['dropout','convnet','resnet18','mobilenet-v2','mobilenet-v3','unet','vit','lstm','mlp-logits','keras-cnn','paddle-mlp','rnn-tanh','gru'].flatMap((f) => { const l = readdirSync(new URL(f, root)).filter((x) => x.endsWith('.onnx.gz')); return [...new Set([l.find((x)=>x.includes('train')), l[0], l.at(-1)])].filter(Boolean).map((x) => `${f}/${x!.replace('.onnx.gz','')}`); });
for (const file of files)
test(file, async (t) => {
  const folder = temporaryFolder(t);
  const path = new URL(`../../autodiff/test/models/fixtures/${file}.onnx.gz`, import.meta.url);
  const model = readModel(gunzipSync(readFileSync(path)));

  const prepared = prepareTraining(model, { loss: model.graph.outputs.some((o) => o.shape?.length === 0) ? { kind: 'output' } : { kind: 'mse' }, trains: { kind: 'all' } });

  const graph = writeModel(prepared.model);
  const cid = nameBlob(bytesOf(prepared.parameters)).cid;
  const run = parseRunConfig({ ...exampleRun, data: { kind: 'arrays' }, batch: typeof prepared.model.graph.inputs[0]!.shape?.[0] === 'number' ? prepared.model.graph.inputs[0]!.shape[0] : 4, model: { graph: nameBlob(graph).cid, bytes: graph.length }, initial: { tensors: cid, parameters: prepared.parameters.length }, inner: { ...exampleRun.inner, optimizer: { kind: 'muon', momentum: 0.9, nesterov: true, iterations: 5, rateOfVectors: 0.3, beta1: 0.9, beta2: 0.95, epsilon: 1e-8 } } });
  const initial = join(folder, 'initial'); writeFileSync(initial, bytesOf(prepared.parameters));
  const data = join(folder, 'data'); mkdirSync(data);
  for (const input of prepared.model.graph.inputs.filter((i) => !parametersOf(prepared.model).some((p) => p.name === i.name))) {
    const shape = [100, ...(input.shape ?? []).slice(1).map((d) => typeof d === 'number' ? d : 8)];
    const n = shape.reduce((a, b) => a * b, 1);
    if (input.type === 'float32') writeFileSync(join(data, `${input.name}.npy`), npyFile('<f4', shape, bytesOf(Float32Array.from({ length: n }, (_, i) => Math.sin(i * 1.3)))));
    else writeFileSync(join(data, `${input.name}.npy`), npyFile('<i8', shape, bytesOf(BigInt64Array.from({ length: n }, (_, i) => BigInt(i % 3)))));
  }
  const engine = await startEngine(t, { run, runId: runIdOf(run), graph }, { data: [data], weights: { initial } });
  await engine.open(genesis);
  const e0 = await engine.evaluate();
  const tr = await engine.train({ steps: 5, round: 0 });
  const e1 = await engine.evaluate({ parameters: 'local' });
  console.log(file, prepared.parameters.length, parametersOf(prepared.model).filter((p) => p.update).length, e0.loss, tr.loss, e1.loss);
  await engine.exportOnnx(join(folder, 'x.onnx'));
});
