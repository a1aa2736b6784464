/**
 * Loss and gradients of the exported models in packages/autodiff/test/models on WebGPU (SwiftShader, which
 * scripts/swiftshader.ts fetches) beside those on the CPU: the largest relative error of a tensor, model by model.
 *
 *     node --conditions=murmuration-source packages/engine/scripts/webgpu-models.ts [case …]
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { readModel, type Tensor, writeModel } from '@murmuration/onnx';
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import { relativeError, trainingModel, weightingName } from '../../autodiff/test/models/compare.ts';
import { caseFolders, readCase, readOnnx, readReference } from '../../autodiff/test/models/fixture.ts';
import { webgpuProvider } from '../src/device/device-session.ts';
import { rewriteForWebgpu } from '../src/device/webgpu-graph.ts';
import { swiftshader } from '../test/device/swiftshader.ts';

const timeoutMs = 300_000;
const folders = caseFolders(new URL('../../autodiff/test/models/fixtures/exported/', import.meta.url));
const nameOf = (folder: URL): string => folder.pathname.split('/').at(-2) ?? '';

type Outputs = InferenceSession.OnnxValueMapType;

const valuesOf = (outputs: Outputs, name: string): Float32Array =>
  (outputs[name] as RuntimeTensor).data as Float32Array;

/** The last file of a case on both; the error of each tensor, those that should be zero against the largest. */
async function worstOf(folder: URL): Promise<{ readonly value: string; readonly error: number }> {
  const [reference, entry] = [readReference(folder), readCase(folder).exports.at(-1)];
  if (!entry) throw new Error(`${folder}: no file`);
  const { training } = trainingModel(readModel(readOnnx(folder, entry.file)), entry);
  const feed = (name: string): RuntimeTensor => {
    const { type, data, shape } = reference.get(name) as Tensor;
    return new RuntimeTensor(type as 'float32', data as Float32Array, shape);
  };
  const feeds: Record<string, RuntimeTensor> = Object.fromEntries(
    entry.inputs.map((name) => [name, feed(`input/${name}`)]),
  );
  if (entry.square) feeds[weightingName(0)] = feed('weighting');
  const run = async (model: Uint8Array, provider: InferenceSession.ExecutionProviderConfig) => {
    const session = await InferenceSession.create(model, {
      executionProviders: [provider],
      logSeverityLevel: 3,
    });
    const wanted = session.inputNames.map((name) => [name, feeds[name] as RuntimeTensor]);
    return session.run(Object.fromEntries(wanted));
  };
  const host = await run(writeModel(training), 'cpu');
  const device = await run(writeModel(rewriteForWebgpu(training)), webgpuProvider);
  const names = Object.keys(host);
  const norms = names.map((name) => Math.hypot(...valuesOf(host, name)));
  const largest = Math.max(...norms.filter((_, index) => names[index]?.startsWith('gradient:')));
  const errors = names.map((value, index) => {
    const isZero = (norms[index] as number) < 1e-5 * largest;
    const [ours, theirs] = [valuesOf(device, value), valuesOf(host, value)];
    const scale = isZero ? (norms[index] as number) / largest : 1;
    return { value, error: scale * relativeError(ours, theirs, largest) };
  });
  const isWrong = errors.find(({ error }) => Number.isNaN(error));
  return (
    isWrong ?? (errors.toSorted((left, right) => right.error - left.error)[0] as (typeof errors)[number])
  );
}

const [flag, ...rest] = process.argv.slice(2);
if (flag === '--one') {
  const folder = folders.find((each) => nameOf(each) === rest[0]);
  if (!folder) throw new Error(`expected a case, got ${rest[0]}`);
  const { value, error } = await worstOf(folder);
  console.log(`${error.toExponential(1)}  ${value}`);
} else {
  const chosen = [flag, ...rest].filter((name) => name !== undefined);
  for (const name of folders.map(nameOf).filter((each) => chosen.length === 0 || chosen.includes(each))) {
    const script = fileURLToPath(import.meta.url);
    const { stdout, status } = spawnSync(process.execPath, [...process.execArgv, script, '--one', name], {
      env: { ...process.env, ...swiftshader },
      encoding: 'utf8',
      timeout: timeoutMs,
    });
    console.log(`${name.padEnd(18)}${status === 0 ? stdout.trim() : 'failed'}`);
  }
}
