import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, float32Tensor } from '@murmuration/onnx';
import { tieWeights } from '../../src/prepare/tie-weights.ts';

test('tieWeights takes time in proportion to the number of matrices', { timeout: 20_000 }, () => {
  const builder = createGraphBuilder('many');
  const names = Array.from({ length: 30_000 }, (_, index) =>
    builder.initializer(float32Tensor(`weight${index}`, [1, index, 2, 3], [2, 2])),
  );
  builder.output(builder.node('Sum', names), 'float32', [2, 2]);
  const model = builder.model();
  assert.equal(tieWeights(model), model);
});
