import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type TensorSlot, tensorView } from '@murmuration/base';
import { gpt, readModel, type Tensor, writeModel } from '@murmuration/onnx';
import { differentiate, gradientName } from '../src/index.ts';
import { config, fixtureParameters, fixtureTokens } from './gpt-fixture.ts';
import { runModel, tensor } from './run-model.ts';

interface Fixture {
  readonly made: string;
  readonly loss: number;
  readonly tokens: readonly (readonly number[])[];
  readonly targets: readonly (readonly number[])[];
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}

const fixture = JSON.parse(
  readFileSync(new URL('./fixtures/gpt-gradients.json', import.meta.url), 'utf8'),
) as Fixture;

function feeds(slots: readonly TensorSlot[], vector: Float32Array): Record<string, Tensor> {
  const { tokens, targets } = fixture;
  const shape = [tokens.length, tokens[0]?.length ?? 0];
  return {
    tokens: tensor(shape, tokens.flat(), 'int64'),
    targets: tensor(shape, targets.flat(), 'int64'),
    ...Object.fromEntries(slots.map((slot) => [slot.name, tensor(slot.shape, tensorView(vector, slot))])),
  };
}

const norm = (values: readonly number[]): number => Math.hypot(...values);

test('gpt gives the loss and every gradient that PyTorch gives', async () => {
  const { layout, vector } = fixtureParameters();
  assert.deepEqual(fixtureTokens(), { tokens: fixture.tokens, targets: fixture.targets });
  const parameters = layout.slots.map(({ name }) => name);
  assert.deepEqual(Object.keys(fixture.gradients), parameters);
  const training = differentiate(readModel(writeModel(gpt(config))), { loss: 'loss', parameters });
  const outputs = await runModel(training, feeds(layout.slots, vector));
  const loss = outputs.loss?.[0] ?? Number.NaN;
  assert.ok(Math.abs(loss / fixture.loss - 1) < 1e-5, `loss ${loss}, PyTorch ${fixture.loss}`);
  for (const parameter of parameters) {
    const expected = fixture.gradients[parameter] ?? [];
    const gradient = outputs[gradientName(parameter)];
    assert.equal(gradient?.length, expected.length, parameter);
    assert.ok(norm(expected) > 0, parameter);
    const error = norm(expected.map((value, index) => value - (gradient?.[index] ?? Number.NaN)));
    assert.ok(error / norm(expected) < 1e-4, `${parameter}: relative error ${error / norm(expected)}`);
  }
});

test('differentiate writes each gradient of gpt by the node that computes it', () => {
  const { layout } = fixtureParameters();
  const parameters = layout.slots.map(({ name }) => name);
  const { graph } = differentiate(gpt(config), { loss: 'loss', parameters });
  assert.deepEqual(
    graph.outputs.map(({ name }) => name),
    ['loss', ...parameters.map(gradientName)],
  );
  const copies = graph.nodes.filter(({ operator }) => operator === 'Identity');
  assert.deepEqual(copies, []);
  const weights = parameters.filter((name) =>
    /(query|key|value|output|expand|contract|head)\.weight$/.test(name),
  );
  for (const weight of weights) {
    const node = graph.nodes.find(({ outputs }) => outputs.includes(gradientName(weight)));
    assert.equal(node?.operator, 'Gemm', weight);
  }
});
