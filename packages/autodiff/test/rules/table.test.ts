import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gradientRules, withoutGradient } from '../../src/index.ts';
import { cases } from './cases.ts';
import { caseName, checkCase } from './rule-case.ts';

for (const rule of cases) {
  test(`gradient of ${caseName(rule)} equals central differences`, async () => {
    const checked = await checkCase(rule, 'static');
    assert.equal(
      checked.length,
      rule.inputs.filter((input) => input !== 'absent' && 'shape' in input).length,
    );
  });
  if (rule.onlyStatic) continue;
  test(`gradient of ${caseName(rule)} with symbolic dimensions equals central differences`, async () => {
    await checkCase(rule, 'symbolic');
  });
}

test('gradientRules has a case for every operator', () => {
  const tested = new Set(cases.map(({ operator }) => operator));
  assert.deepEqual(
    Object.keys(gradientRules).filter((operator) => !tested.has(operator)),
    [],
  );
});

test('gradientRules has every reduction of ONNX', () => {
  const kinds = ['Sum', 'Mean', 'Max', 'Min', 'Prod', 'L1', 'L2', 'SumSquare', 'LogSum', 'LogSumExp'];
  assert.deepEqual(
    Object.keys(gradientRules)
      .filter((operator) => operator.startsWith('Reduce'))
      .sort(),
    kinds.map((kind) => `Reduce${kind}`).sort(),
  );
});

test('withoutGradient and gradientRules share no operator', () => {
  assert.deepEqual(
    Object.keys(gradientRules).filter((operator) => withoutGradient.has(operator)),
    [],
  );
});
