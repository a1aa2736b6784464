import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, createLayout, tensorView } from '@murmuration/base';
import {
  embedParameters,
  gpt,
  initializeParameters,
  type Model,
  OnnxError,
  type ParameterDeclaration,
  parametersKey,
  parametersOf,
} from '../src/index.ts';

const model = gpt({ vocabulary: 260, context: 64, width: 64, layers: 2, heads: 4 });
const declarations = parametersOf(model);

test('initializeParameters gives the same bits on every platform', () => {
  const vector = initializeParameters(declarations, 'a seed');
  const name = cidOf(new Uint8Array(vector.buffer));
  assert.equal(name, 'bafkreigskz5ei2vaw22osy2fjgqj26kqm2ndj5mn5khwx2d55nmxgdvm7a');
  assert.notEqual(cidOf(new Uint8Array(initializeParameters(declarations, 'another').buffer)), name);
});

test('initializeParameters draws each parameter from its own stream', () => {
  const [first, second, ...rest] = declarations as [ParameterDeclaration, ParameterDeclaration];
  const swapped = [second, first, ...rest];
  const [a, b] = [initializeParameters(declarations, 's'), initializeParameters(swapped, 's')];
  const slot = (list: readonly ParameterDeclaration[], name: string) => {
    const found = createLayout(list).slots.find((each) => each.name === name);
    assert.ok(found);
    return found;
  };
  assert.deepEqual(tensorView(a, slot(declarations, first.name)), tensorView(b, slot(swapped, first.name)));
});

test('initializeParameters draws weights of the declared deviation, gains of 1 and biases of 0', () => {
  const vector = initializeParameters(declarations, 'deviation');
  const { slots } = createLayout(declarations);
  for (const slot of slots) {
    const values = tensorView(vector, slot);
    if (slot.name.endsWith('.gain')) assert.ok(values.every((value) => value === 1));
    else if (slot.name.endsWith('.bias')) assert.ok(values.every((value) => value === 0));
    else {
      const residual = /(output|contract)\.weight$/.test(slot.name);
      const expected = residual ? 0.02 / Math.sqrt(4) : 0.02;
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
      assert.ok(Math.abs(deviation / expected - 1) < 0.05, `${slot.name}: ${deviation}`);
    }
  }
});

test('parametersOf lets weight decay apply to matrices only', () => {
  for (const { name, shape, decays } of declarations) assert.equal(decays, shape.length === 2, name);
});

const declared = (json: string | undefined): Model => ({
  ...model,
  metadata: json === undefined ? {} : { [parametersKey]: json },
});

test('parametersOf refuses declarations that are not those of the graph', () => {
  const [first] = declarations as [ParameterDeclaration];
  const bad = [
    undefined,
    '',
    '{',
    'null',
    '{}',
    '[]',
    '[null]',
    '[{"name":"norm.gain"}]',
    JSON.stringify([{ ...first, shape: [-1, 64] }]),
    JSON.stringify([{ ...first, shape: [64, 260] }]),
    JSON.stringify([{ ...first, shape: [2 ** 60] }]),
    JSON.stringify([{ ...first, name: 'tokens' }]),
    JSON.stringify([{ ...first, name: 'nowhere' }]),
    JSON.stringify([{ ...first, initial: { kind: 'normal' } }]),
    JSON.stringify([{ ...first, initial: { kind: 'uniform', limit: -1 } }]),
    JSON.stringify([{ ...first, initial: { kind: 'constant', value: 'NaN' } }]),
    JSON.stringify([{ ...first, update: { kind: 'sum', momentum: 0.9 } }]),
    JSON.stringify([{ ...first, update: { kind: 'average', momentum: 1 } }]),
    JSON.stringify([{ ...first, hidden: 'no' }]),
    JSON.stringify([first, first]),
  ];
  for (const json of bad)
    assert.throws(
      () => parametersOf(declared(json)),
      (error) => error instanceof OnnxError && error.code === 'bad-parameters',
      String(json),
    );
  assert.deepEqual(parametersOf(declared(JSON.stringify([first]))), [first]);
});

test('parametersOf keeps what is said of updates; initializeParameters refuses values that are given elsewhere', () => {
  const [first] = declarations as [ParameterDeclaration];
  const given: ParameterDeclaration = {
    ...first,
    initial: { kind: 'given' },
    update: { kind: 'average', momentum: 0.9 },
    hidden: false,
  };
  assert.deepEqual(parametersOf(declared(JSON.stringify([given]))), [given]);
  assert.throws(() => initializeParameters([given], 's'), {
    code: 'bad-parameters',
    message: /given elsewhere/,
  });
});

test('embedParameters refuses a vector of another length', () => {
  assert.throws(() => embedParameters(model, new Float32Array(3)), { code: 'bad-parameters' });
});

test('embedParameters refuses an output that nothing gives', () => {
  const vector = initializeParameters(declarations, 's');
  assert.throws(() => embedParameters(model, vector, ['nothing']), { code: 'invalid-model' });
});
