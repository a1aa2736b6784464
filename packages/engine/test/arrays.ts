/** Arrays, and models that train on them, that several tests share. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '@murmuration/base';
import {
  createGraphBuilder,
  float,
  type InitialDistribution,
  int,
  type Model,
  type ParameterDeclaration,
  parametersKey,
} from '@murmuration/onnx';

/** A `.npy` file of version 1.0. */
export function npyFile(descr: string, shape: readonly number[], values: Uint8Array): Buffer {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const dictionary = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const length = Math.ceil((11 + dictionary.length) / 64) * 64 - 10;
  const head = Buffer.alloc(10);
  head.write('\x93NUMPY\x01\x00', 'latin1');
  head.writeUInt16LE(length, 8);
  return Buffer.concat([head, Buffer.from(`${dictionary.padEnd(length - 1)}\n`), values]);
}

export const bytesOf = (values: Float32Array | BigInt64Array | Int32Array | Uint8Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/**
 * A folder with `pixels` (uint8 [rows, 6]) and `label` (int32 [rows]): the place of the largest of the first three
 * pixels.
 */
export function writeSamples(folder: string, rows: number): string {
  const random = createRandom('samples');
  const pixels = Uint8Array.from({ length: rows * 6 }, () => random.below(8));
  const label = Int32Array.from({ length: rows }, (_, row) => {
    const first = [...pixels.subarray(row * 6, row * 6 + 3)];
    return first.indexOf(Math.max(...first));
  });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'pixels.npy'), npyFile('|u1', [rows, 6], pixels));
  writeFileSync(join(folder, 'label.npy'), npyFile('<i4', [rows], bytesOf(label)));
  return folder;
}

/**
 * A classifier with one hidden layer: inputs `pixels` float32 [rows, 6] and `label` int64
 * [rows], outputs `loss`, `scores`.
 */
export function classifier({ dropout = 0, normalized = false, rows = 'n' as number | string } = {}): Model {
  const graph = createGraphBuilder('classifier');
  const parameters: ParameterDeclaration[] = [];
  const parameter = (name: string, shape: readonly number[], initial: InitialDistribution): string => {
    parameters.push({ name, shape, initial, decays: shape.length > 1 });
    return graph.input(name, 'float32', shape);
  };
  const statistic = (name: string, value: number): string => {
    const initial = { kind: 'constant', value } as const;
    const update = { kind: 'average', momentum: 0.8 } as const;
    parameters.push({ name, shape: [6], initial, decays: false, update });
    return graph.input(name, 'float32', [6]);
  };
  const given = graph.input('pixels', 'float32', [rows, 6]);
  const label = graph.input('label', 'int64', [rows]);
  const pixels = normalized
    ? (graph.nodes(
        'BatchNormalization',
        [
          given,
          parameter('scale', [6], { kind: 'constant', value: 1 }),
          parameter('shift', [6], { kind: 'constant', value: 0 }),
          statistic('mean', 0),
          statistic('variance', 1),
        ],
        ['normal', 'nextMean', 'nextVariance'],
        { training_mode: int(1), momentum: float(0.8) },
      )[0] as string)
    : given;
  const hidden = graph.node('Relu', [
    graph.node('Gemm', [
      pixels,
      parameter('wide', [6, 16], { kind: 'uniform', limit: 0.5 }),
      parameter('bias', [16], { kind: 'constant', value: 0 }),
    ]),
  ]);
  const kept =
    dropout === 0
      ? hidden
      : graph.node('Dropout', [
          hidden,
          graph.float32(dropout),
          graph.initializer({ name: 'on', type: 'bool', shape: [], data: Uint8Array.of(1) }),
        ]);
  const weight = parameter('tall', [16, 3], { kind: 'uniform', limit: 0.5 });
  const scores = graph.node('MatMul', [kept, weight], {}, 'scores');
  const logarithms = graph.node('LogSoftmax', [scores], { axis: int(1) });
  const column = graph.node('Unsqueeze', [label, graph.int64s([1])]);
  const chosen = graph.node('GatherElements', [logarithms, column], { axis: int(1) });
  const mean = graph.node('ReduceMean', [chosen], { keepdims: int(0) });
  graph.output(graph.node('Neg', [mean], {}, 'loss'), 'float32', []);
  graph.output(scores, 'float32', [rows, 3]);
  return graph.model({ [parametersKey]: JSON.stringify(parameters) });
}
