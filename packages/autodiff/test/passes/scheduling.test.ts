import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import {
  checkModel,
  createGraphBuilder,
  type GptConfig,
  gpt,
  int,
  type Model,
  parametersOf,
  type Tensor,
  usedValues,
  writeModel,
} from '@murmuration/onnx';
import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import { differentiate, gradientName } from '../../src/index.ts';

import { recomputeCheap } from '../../src/passes/recompute-cheap.ts';
import { repeatNodes, splitTraining } from '../../src/passes/repeat-nodes.ts';
import { valueBytes } from '../../src/passes/value-bytes.ts';
import { tensor } from '../run-model.ts';

const config: GptConfig = { vocabulary: 50, context: 64, width: 64, layers: 4, heads: 4 };
const batch = 16;
const declarations = parametersOf(gpt(config));
const parameters = declarations.map(({ name }) => name);

/** The transformer with numbers for its dimensions. */
const sized = (size: GptConfig = config): Model => {
  const model = gpt(size);
  const inputs = model.graph.inputs.map((input) =>
    input.type === 'int64' ? { ...input, shape: [batch, size.context] } : input,
  );
  return { ...model, graph: { ...model.graph, inputs } };
};

const training = (hold: 'everything' | 'costly' | 'cuts'): Model =>
  differentiate(sized(), { loss: 'loss', parameters, hold });

function feeds(): Record<string, Tensor> {
  const random = createRandom('scheduling');
  const length = batch * config.context;
  const tokens = Array.from({ length }, () => random.below(config.vocabulary));
  return {
    tokens: tensor([batch, config.context], tokens, 'int64'),
    targets: tensor([batch, config.context], tokens.toReversed(), 'int64'),
    ...Object.fromEntries(
      declarations.map(({ name, shape }) => {
        const size = shape.reduce((product, dimension) => product * dimension, 1);
        return [
          name,
          tensor(
            shape,
            Array.from({ length: size }, () => 0.4 * random.unit() - 0.2),
          ),
        ];
      }),
    ),
  };
}

/** Runs a model without merging equal nodes; gives its outputs and the names of its nodes in the order of execution. */
async function execute(model: Model) {
  const folder = mkdtempSync(join(tmpdir(), 'murmuration-order-'));
  try {
    const session = await InferenceSession.create(writeModel(model), {
      intraOpNumThreads: 1,
      logSeverityLevel: 3,
      enableProfiling: true,
      profileFilePrefix: join(folder, 'profile'),
      extra: {
        optimization: { disable_specified_optimizers: 'CommonSubexpressionElimination;ConstantFolding' },
      },
    });
    const given = Object.entries(feeds()).map(([name, { type, data, shape }]) => [
      name,
      new RuntimeTensor(type as 'float32', data as Float32Array, shape),
    ]);
    const outputs = await session.run(Object.fromEntries(given));
    session.endProfiling();
    const events = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0] ?? ''), 'utf8')) as {
      readonly name: string;
      readonly ts: number;
    }[];
    const suffix = '_kernel_time';
    const order = events
      .filter(({ name }) => name.endsWith(suffix))
      .toSorted((left, right) => left.ts - right.ts)
      .map(({ name }) => name.slice(0, -suffix.length));
    return { outputs, order };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const heldBytes = (model: Model): number => {
  const { bytes } = valueBytes(model);
  return [...splitTraining(model).held].reduce((sum, value) => sum + (bytes(value) ?? 0), 0);
};

test('onnxruntime executes an ordered training graph from the last layer backwards, and repeats late', async () => {
  const model = training('cuts');
  const { order } = await execute(model);
  const producer = (value: string): string =>
    model.graph.nodes.find(({ outputs }) => outputs.includes(value))?.name ?? '';
  const at = (value: string): number => {
    const index = order.indexOf(producer(value));
    assert.ok(index >= 0, `${value} was not executed`);
    return index;
  };
  const gradients = Array.from({ length: config.layers }, (_, layer) =>
    at(gradientName(`layer.${layer}.mlp.expand.weight`)),
  );
  assert.ok(at('loss') < Math.min(...gradients));
  assert.deepEqual(
    gradients,
    gradients.toSorted((left, right) => right - left),
  );
  for (let layer = 0; layer + 1 < config.layers; layer++) {
    const repeated = order.findIndex((name) => name.startsWith(`again.layer.${layer}.mlp.expand`));
    if (repeated < 0) continue;
    assert.ok(repeated > (gradients[layer + 1] as number), `layer ${layer} was repeated too early`);
  }
  assert.ok(order.some((name) => name.startsWith('again.layer.0.mlp.expand')));
});

test('checkpointActivations and recomputeCheap hold less and leave loss and gradients as they are', async () => {
  const plain = training('everything');
  const variants = { costly: training('costly'), cuts: training('cuts') };
  const expected = (await execute(plain)).outputs;
  const whole = heldBytes(plain);
  assert.ok(heldBytes(variants.costly) < 0.75 * whole, `${heldBytes(variants.costly)} of ${whole}`);
  assert.ok(heldBytes(variants.cuts) < 0.4 * whole, `${heldBytes(variants.cuts)} of ${whole}`);
  for (const [name, model] of Object.entries(variants)) {
    checkModel(model);
    const { outputs } = await execute(model);
    for (const [output, { data }] of Object.entries(expected)) {
      const values = [...(data as Float32Array)];
      const others = outputs[output]?.data as Float32Array;
      const error = Math.hypot(...values.map((value, index) => value - (others[index] ?? Number.NaN)));
      assert.ok(error <= 1e-5 * Math.hypot(...values), `${name} ${output}: ${error}`);
    }
  }
});

/** loss = Σ v·tanh(x·w + noise), its gradient by w, and the noise from a node that gives another one each time. */
function noisyTraining(): Model {
  const builder = createGraphBuilder('noisy');
  const [x, w] = [builder.input('x', 'float32', [512, 64]), builder.input('w', 'float32', [64, 1_024])];
  const product = builder.node('MatMul', [x, w], {}, 'product');
  const noise = builder.node('RandomNormalLike', [product], {}, 'noise');
  const active = builder.node('Tanh', [builder.node('Add', [product, noise])], {}, 'active');
  const v = builder.input('v', 'float32', [512, 1_024]);
  builder.node('ReduceSum', [builder.node('Mul', [active, v])], { keepdims: int(0) }, 'loss');
  builder.output('loss', 'float32', []);
  return differentiate(builder.model(), { loss: 'loss', parameters: ['w'], hold: 'everything' });
}

test('repeatNodes copies what is not kept, once for all readers, and never a random node', () => {
  const model = noisyTraining();
  const parts = splitTraining(model);
  const repeated = repeatNodes(model, parts, new Set());
  checkModel(repeated);
  const again = repeated.graph.nodes.filter(({ name }) => name.startsWith('again.'));
  assert.deepEqual(again.map(({ operator }) => operator).toSorted(), ['Add', 'MatMul', 'Tanh']);
  assert.ok(again.some(({ inputs }) => inputs.includes('noise')));
  const held = splitTraining(repeated).held;
  assert.deepEqual([...held], ['noise']);
});

test('recomputeCheap repeats what is large and costs little, and no product of large matrices', () => {
  const repeatedBy = (model: Model): readonly string[] =>
    model.graph.nodes.filter(({ name }) => name.startsWith('again.')).map(({ operator }) => operator);
  const builder = createGraphBuilder('activation');
  const [x, w] = [builder.input('x', 'float32', [512, 512]), builder.input('w', 'float32', [512, 1_024])];
  const active = builder.node('Gelu', [builder.node('MatMul', [x, w])]);
  const square = builder.node('MatMul', [active, builder.input('v', 'float32', [1_024, 8])]);
  builder.node('ReduceSum', [square], { keepdims: int(0) }, 'loss');
  builder.output('loss', 'float32', []);
  const whole = differentiate(builder.model(), { loss: 'loss', parameters: ['w', 'v'], hold: 'everything' });
  assert.deepEqual(repeatedBy(whole), []);
  assert.deepEqual(repeatedBy(recomputeCheap(whole)), ['Gelu']);
  const tiny = differentiate(sized({ ...config, context: 8, width: 8 }), { loss: 'loss', parameters });
  assert.deepEqual(repeatedBy(tiny), []);
});

test('differentiate puts nodes that nobody reads last, the loss at the very end', () => {
  const model = noisyTraining();
  checkModel(model);
  const read = new Set(model.graph.nodes.flatMap(usedValues));
  const unread = model.graph.nodes.map(({ outputs }) => !outputs.some((output) => read.has(output)));
  assert.ok(unread.lastIndexOf(false) < unread.indexOf(true));
  assert.deepEqual(
    model.graph.nodes.slice(unread.indexOf(true)).map(({ outputs }) => outputs[0]),
    ['gradient:w', 'loss'],
  );
});
