import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, initializeParameters, parametersKey, parametersOf } from '@murmuration/onnx';
import { inspectModel } from '../src/inspect-model.ts';
import { classifier } from './arrays.ts';

const options = { sizes: { batch: 4, context: 4, named: {} }, threads: 1 };

test('inspectModel finds right gradients on made-up samples', async () => {
  const model = classifier();
  const parameters = initializeParameters(parametersOf(model), 'seed');
  const found = await inspectModel({ model, parameters, frozen: new Float32Array() }, options);
  assert.ok(Number.isFinite(found.loss));
  assert.ok(found.gradients.length > 0);
  assert.ok(found.gradients.every(({ verdict }) => verdict === 'agrees'));
  assert.ok(found.memory.vectors >= 6 * 4 * parameters.length);
});

test('inspectModel refuses inputs that no memory holds', async () => {
  const model = classifier({ rows: 2 ** 40 });
  const inspected = { model, parameters: new Float32Array(), frozen: new Float32Array() };
  await assert.rejects(inspectModel(inspected, options), { code: 'too-much-memory' });
});

test('inspectModel refuses parameters that no memory holds', async () => {
  for (const size of [2 ** 20, 2 ** 26]) {
    const builder = createGraphBuilder('absurd');
    const weight = builder.input('weight', 'float32', [size, size]);
    builder.node('ReduceSum', [weight], {}, 'loss');
    builder.output('loss', 'float32');
    const initial = { kind: 'constant', value: 0 };
    const declarations = [{ name: 'weight', shape: [size, size], initial, decays: true }];
    const model = builder.model({ [parametersKey]: JSON.stringify(declarations) });
    const inspected = { model, parameters: new Float32Array(), frozen: new Float32Array() };
    await assert.rejects(inspectModel(inspected, options), { code: 'too-many-parameters' });
  }
});
