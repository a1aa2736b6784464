import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLayout, createRandom, tensorView } from '@murmuration/base';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import {
  checkModel,
  embedParameters,
  type GptConfig,
  gpt,
  inferShapes,
  initializeParameters,
  type Model,
  OnnxError,
  parametersOf,
  readModel,
  writeModel,
} from '../src/index.ts';

const config: GptConfig = { vocabulary: 17, context: 12, width: 24, layers: 2, heads: 3 };
const model = gpt(config);
const declarations = parametersOf(model);
/** Wider than the initial distribution, so that every part of the model matters. */
const vector = initializeParameters(
  declarations.map((declaration) => ({ ...declaration, initial: { kind: 'uniform', limit: 0.5 } as const })),
  'gpt',
);

const open = (each: Model): Promise<InferenceSession> =>
  InferenceSession.create(writeModel(each), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });

function randomTokens(batch: number, context: number, seed: string): Tensor {
  const random = createRandom(seed);
  const values = BigInt64Array.from({ length: batch * context }, () =>
    BigInt(random.below(config.vocabulary)),
  );
  return new Tensor('int64', values, [batch, context]);
}

const floats = (tensor: Tensor | undefined): Float32Array => tensor?.data as Float32Array;

test('gpt is a valid model whose inputs are tokens, targets and the declared parameters', () => {
  checkModel(model);
  checkModel(readModel(writeModel(model)));
  assert.deepEqual(
    model.graph.inputs.map(({ name }) => name),
    ['tokens', 'targets', ...declarations.map(({ name }) => name)],
  );
  assert.deepEqual(
    model.graph.outputs.map(({ name, shape }) => [name, shape]),
    [
      ['loss', []],
      ['logits', ['batch', 'context', 17]],
    ],
  );
});

test('gpt of the demo has 0.88 million parameters and a graph of a few kilobytes', () => {
  const demo = gpt({ vocabulary: 260, context: 128, width: 128, layers: 4, heads: 4 });
  assert.equal(createLayout(parametersOf(demo)).length, 875_776);
  assert.ok(writeModel(demo).length < 24_000);
});

test('gpt with its initial parameters is as good as guessing', async () => {
  const initial = embedParameters(model, initializeParameters(declarations, 'seed'), ['loss']);
  const session = await open(initial);
  const [tokens, targets] = [randomTokens(4, 12, 'tokens'), randomTokens(4, 12, 'targets')];
  const { loss } = await session.run({ tokens, targets });
  assert.ok(Math.abs((floats(loss)[0] ?? 0) - Math.log(config.vocabulary)) < 0.05);
});

test('gpt gives the mean negative log-probability of the targets as loss', async () => {
  const session = await open(embedParameters(model, vector, ['loss', 'logits']));
  const [tokens, targets] = [randomTokens(3, 7, 'tokens'), randomTokens(3, 7, 'targets')];
  const { loss, logits } = await session.run({ tokens, targets });
  const scores = floats(logits);
  let sum = 0;
  for (let row = 0; row < 21; row++) {
    const line = scores.subarray(row * 17, row * 17 + 17);
    const total = line.reduce((each, score) => each + Math.exp(score), 0);
    sum += Math.log(total) - (line[Number(targets.data[row])] as number);
  }
  assert.ok(Math.abs((floats(loss)[0] ?? 0) - sum / 21) < 1e-4);
});

test('gpt never looks at later tokens', async () => {
  const session = await open(embedParameters(model, vector));
  const tokens = randomTokens(1, 12, 'tokens');
  const { logits: whole } = await session.run({ tokens });
  for (const context of [1, 5, 11]) {
    const values = (tokens.data as BigInt64Array).slice(0, context);
    const { logits } = await session.run({ tokens: new Tensor('int64', values, [1, context]) });
    const expected = floats(whole).subarray(0, context * 17);
    const error = Math.max(
      ...floats(logits).map((value, index) => Math.abs(value - (expected[index] as number))),
    );
    assert.ok(error < 1e-4, `context ${context}: ${error}`);
  }
});

test('gpt attends to all earlier tokens', async () => {
  const session = await open(embedParameters(model, vector));
  const tokens = randomTokens(1, 12, 'tokens');
  const { logits: before } = await session.run({ tokens });
  const changed = (tokens.data as BigInt64Array).slice();
  changed[0] = ((changed[0] as bigint) + 1n) % 17n;
  const { logits: after } = await session.run({ tokens: new Tensor('int64', changed, [1, 12]) });
  const last = [floats(before).subarray(-17), floats(after).subarray(-17)] as const;
  assert.ok(Math.max(...last[0].map((value, index) => Math.abs(value - (last[1][index] as number)))) > 1e-3);
});

test('embedParameters gives a model from tokens to logits for any batch', async () => {
  const inference = embedParameters(model, vector);
  checkModel(inference);
  const session = await open(readModel(writeModel(inference)));
  assert.deepEqual([session.inputNames, session.outputNames], [['tokens'], ['logits']]);
  assert.deepEqual(inference.metadata, {});
  for (const [batch, context] of [
    [1, 1],
    [5, 12],
  ] as const) {
    const { logits } = await session.run({ tokens: randomTokens(batch, context, 'tokens') });
    assert.deepEqual(logits?.dims, [batch, context, 17]);
  }
  await assert.rejects(session.run({ tokens: randomTokens(1, 13, 'tokens') }));
});

test('inferShapes gives the shapes that onnxruntime computes, for every value of gpt', async () => {
  const known = inferShapes(model);
  const [batch, context] = [3, 5];
  const values = model.graph.nodes.flatMap(({ outputs }) => outputs.filter((output) => output !== ''));
  const outputs = values.map((name) => ({ name, type: known.get(name)?.type ?? ('float32' as const) }));
  const session = await open({ ...model, graph: { ...model.graph, outputs } });
  const layout = createLayout(declarations);
  const weights = layout.slots.map((slot): [string, Tensor] => [
    slot.name,
    new Tensor('float32', tensorView(vector, slot), slot.shape),
  ]);
  const results = await session.run({
    tokens: randomTokens(batch, context, 'tokens'),
    targets: randomTokens(batch, context, 'targets'),
    ...Object.fromEntries(weights),
  });
  const sizes: Readonly<Record<string, number>> = { batch, context, 'batch*context': batch * context };
  for (const name of values) {
    const inferred = known.get(name)?.shape?.map((each) => (typeof each === 'number' ? each : sizes[each]));
    assert.deepEqual(inferred, results[name]?.dims, name);
    assert.equal(known.get(name)?.type, results[name]?.type, name);
  }
});

test('gpt refuses settings that make no model', () => {
  const bad: readonly Partial<Record<keyof GptConfig, number>>[] = [
    { vocabulary: 0 },
    { context: 1.5 },
    { width: Number.NaN },
    { layers: -1 },
    { heads: 5 },
    { width: 2 ** 40 },
  ];
  for (const change of bad)
    assert.throws(
      () => gpt({ ...config, ...change }),
      (error) => error instanceof OnnxError && error.code === 'bad-config',
      JSON.stringify(change),
    );
});
