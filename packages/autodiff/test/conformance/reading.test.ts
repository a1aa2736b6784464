import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkModel, readModel, upgradeModel, writeModel } from '@murmuration/onnx';
import { casesByOperator } from './cases.ts';
import { caseKey } from './exceptions.ts';

for (const [operator, cases] of casesByOperator()) {
  test(`readModel of writeModel of readModel gives the same ${operator}`, () => {
    for (const stored of cases) {
      const model = readModel(stored.model);
      checkModel(model);
      assert.deepEqual(readModel(writeModel(model)), model, caseKey(stored));
    }
  });

  test(`upgradeModel leaves an upgraded ${operator} as it is`, () => {
    for (const stored of cases.filter(({ opset }) => opset > 8)) {
      const model = upgradeModel(readModel(stored.model));
      checkModel(model);
      assert.deepEqual(upgradeModel(model), model, caseKey(stored));
    }
  });
}
