/**
 * A process of its own in which a device is tried, because a driver can end its process. It multiplies the same
 * matrices on the device and on the CPU, and tells its parent whether the results agree and how the times compare. The
 * matrices stay on the device between the products, so that what is measured is arithmetic.
 */
import { availableParallelism } from 'node:os';
import { createGraphBuilder, type Model, writeModel } from '@murmuration/onnx';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { trialProducts, trialRuns, trialSizes } from '../defaults.ts';
import { type AcceleratorName, acceleratorNames, type TrialResult } from './devices.ts';

/** A product of many matrices, and the mean of what comes out. */
function trialModel(size: number): Model {
  const graph = createGraphBuilder('trial');
  const matrix = graph.input('matrix', 'float32', [size, size]);
  let product = matrix;
  for (let count = 0; count < trialProducts; count++) product = graph.node('MatMul', [product, matrix]);
  const axes = graph.int64s([0, 1]);
  graph.output(graph.node('ReduceMean', [product, axes], {}, 'mean'), 'float32', [1, 1]);
  return graph.model();
}

/** The mean, and the shortest time of a run after the first. */
async function measure(
  device: AcceleratorName | 'cpu',
  bytes: Uint8Array,
  size: number,
): Promise<[number, number]> {
  const session = await InferenceSession.create(bytes, {
    executionProviders: [device],
    intraOpNumThreads: availableParallelism(),
    logSeverityLevel: 4,
  });
  // Rows of each product add up to 1.
  const values = Float32Array.from({ length: size * size }, (_, index) => (1 + (index % 7)) / (4 * size));
  const matrix = new Tensor('float32', values, [size, size]);
  let mean = Number.NaN;
  let shortestMs = Number.POSITIVE_INFINITY;
  for (let run = 0; run <= trialRuns; run++) {
    const startedMs = performance.now();
    const outputs = await session.run({ matrix });
    mean = ((outputs.mean as Tensor).data as Float32Array)[0] as number;
    if (run > 0) shortestMs = Math.min(shortestMs, performance.now() - startedMs);
  }
  return [mean, shortestMs];
}

async function attempt(device: AcceleratorName, size: number): Promise<TrialResult> {
  const bytes = writeModel(trialModel(size));
  const [mean, deviceMs] = await measure(device, bytes, size);
  const [expected, cpuMs] = await measure('cpu', bytes, size);
  if (!(Math.abs(mean - expected) <= 1e-2 * Math.abs(expected)))
    return {
      kind: 'failed',
      reason: `products of matrices are wrong: expected a mean of ${expected}, got ${mean}`,
    };
  return { kind: 'ran', speed: cpuMs / deviceMs };
}

const wanted = acceleratorNames.find((name) => name === process.argv[2]);
const size = Object.values(trialSizes).find((known) => String(known) === process.argv[3]) ?? trialSizes.start;
const result: TrialResult = wanted
  ? await attempt(wanted, size).catch((error: Error) => ({ kind: 'failed', reason: error.message.trim() }))
  : { kind: 'failed', reason: `expected one of ${acceleratorNames.join(', ')}, got ${process.argv[2]}` };
process.send?.(result, () => process.exit(0));
