import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allNodes } from '@murmuration/onnx';
import { AutodiffError, differentiate } from '../src/index.ts';
import { cases } from './rules/cases.ts';
import { build, caseName } from './rules/rule-case.ts';

test('differentiate gives no Pad with axes, which onnxruntime moves Transpose past in a wrong way', () => {
  let pads = 0;
  for (const rule of cases)
    for (const shapes of ['static', 'symbolic'] as const) {
      if (shapes === 'symbolic' && rule.onlyStatic) continue;
      const { model, parameters } = build(rule, { shapes });
      const loss = model.graph.outputs[0]?.name ?? '';
      try {
        for (const node of allNodes(differentiate(model, { loss, parameters }))) {
          if (node.operator !== 'Pad') continue;
          pads++;
          assert.ok((node.inputs[3] ?? '') === '', `${caseName(rule)}, ${shapes}`);
        }
      } catch (error) {
        if (!(error instanceof AutodiffError)) throw error;
      }
    }
  assert.ok(pads > 50, `${pads}`);
});
