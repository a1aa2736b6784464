import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inferShapes, intOf, type Model, type Node } from '@murmuration/onnx';
import { lowerings } from '../../src/lowerings/table.ts';
import { lowerOperators, operatorKey } from '../../src/passes/lower-operators.ts';
import { cases } from '../rules/cases.ts';
import { build, caseName, type RuleCase } from '../rules/rule-case.ts';
import { runModel } from '../run-model.ts';

/** Kernels that stock onnxruntime has for no setting of the case. */
const lacksKernel = (node: Node): boolean =>
  (['LSTM', 'GRU', 'RNN'].includes(node.operator) && intOf(node, 'layout', 0) === 1) ||
  node.operator === 'GlobalLpPool';

/** The case's node alone, its float outputs those of the model. */
function nodeModel(rule: RuleCase, shapes: 'static' | 'symbolic') {
  const { model, feeds, parameters } = build(rule, { shapes });
  const node = model.graph.nodes[0] as Node;
  const known = inferShapes(model);
  const outputs = node.outputs
    .map((name) => ({ name, type: known.get(name)?.type ?? 'float32' }))
    .filter(({ type }) => type === 'float32');
  const inputs = model.graph.inputs.filter(({ name }) => node.inputs.includes(name));
  const alone: Model = { ...model, graph: { ...model.graph, nodes: [node], inputs, outputs } };
  return { node, alone, feeds, parameters };
}

const lowered = cases.filter((rule) =>
  Object.hasOwn(lowerings, operatorKey({ operator: rule.operator, domain: rule.domain ?? '' } as Node)),
);

for (const rule of lowered)
  for (const shapes of rule.onlyStatic ? (['static'] as const) : (['static', 'symbolic'] as const))
    test(`lowerOperators keeps what ${caseName(rule)} computes, ${shapes} sizes`, async (context) => {
      const { node, alone, feeds, parameters } = nodeModel(rule, shapes);
      const rewritten = lowerOperators(alone, parameters, lowerings);
      assert.ok(!rewritten.graph.nodes.includes(node));
      const results = await runModel(rewritten, feeds);
      if (lacksKernel(node)) return context.skip('no kernel to compare with');
      for (const [name, expected] of Object.entries(await runModel(alone, feeds))) {
        const got = results[name];
        assert.equal(got?.length, expected.length);
        const furthest = Math.max(
          ...Array.from(expected, (value, index) => Math.abs(value - (got?.[index] ?? Number.NaN))),
        );
        assert.ok(furthest < 2e-6 * Math.max(1, ...expected.map(Math.abs)), `${name}: ${furthest}`);
      }
    });

test('lowerings has a case for every operator', () => {
  const tested = new Set(
    lowered.map(({ operator, domain = '' }) => operatorKey({ operator, domain } as Node)),
  );
  assert.deepEqual(
    Object.keys(lowerings).filter((key) => !tested.has(key)),
    [],
  );
});

test('lowerOperators leaves a node that no parameter reaches', () => {
  const rule = lowered.find(({ operator }) => operator === 'LSTM') as RuleCase;
  const { alone } = nodeModel(rule, 'static');
  assert.equal(lowerOperators(alone, [], lowerings), alone);
});
