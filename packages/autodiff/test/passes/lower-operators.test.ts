import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createGraphBuilder,
  inferShapes,
  ints,
  type Model,
  type Node,
  withRunnableOpset,
} from '@murmuration/onnx';
import { lowerings } from '../../src/lowerings/table.ts';
import { lowerOperators, operatorKey } from '../../src/passes/lower-operators.ts';
import { cases } from '../rules/cases.ts';
import { build, caseName, type RuleCase } from '../rules/rule-case.ts';
import { runModel } from '../run-model.ts';

/** Stock onnxruntime has no recurrent kernel for `layout` 1. */
const lacksKernel = ({ operator, attributes }: Node): boolean =>
  ['LSTM', 'GRU', 'RNN'].includes(operator) && attributes.layout?.value === 1;

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
      if (rewritten.graph.nodes.includes(node)) {
        assert.equal(node.operator, 'RotaryEmbedding');
        return;
      }
      const results = await runModel(rewritten, feeds);
      if (lacksKernel(node)) return context.skip('no kernel to compare with');
      for (const [name, expected] of Object.entries(await runModel(withRunnableOpset(alone), feeds))) {
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

for (const operator of ['RNN', 'GRU', 'LSTM'])
  test(`lowerOperators gives of ${operator} with the batch first what the kernel gives with the length first`, async () => {
    const { alone, feeds, parameters } = nodeModel(
      lowered.find((rule) => rule.operator === operator && rule.note === 'batch first') as RuleCase,
      'static',
    );
    const first = await runModel(lowerOperators(alone, parameters, lowerings), feeds);
    const builder = createGraphBuilder('turned');
    const given = alone.graph.inputs.map(({ name, shape = [], type }) => builder.input(name, type, shape));
    const turn = (value: string, perm: readonly number[]): string =>
      builder.node('Transpose', [value], { perm: ints(perm) });
    const node = alone.graph.nodes[0] as Node;
    const { layout, ...attributes } = node.attributes;
    assert.equal(layout?.value, 1);
    const inputs = node.inputs.map((name, index) =>
      given.includes(name) && [0, 5, 6].includes(index) ? turn(name, [1, 0, 2]) : name,
    );
    const stems = node.outputs.map(() => 'plain');
    const [y = '', ...states] = builder.nodes(operator, inputs, stems, attributes);
    const turned = [turn(y, [2, 0, 1, 3]), ...states.map((state) => turn(state, [1, 0, 2]))];
    for (const output of turned) builder.output(output, 'float32');
    const second = await runModel(builder.model(), feeds);
    turned.forEach((name, index) => {
      const [a = [], b = []] = [first[node.outputs[index] as string], second[name]];
      assert.ok(a.length > 0 && a.length === b.length);
      a.forEach((value, position) => {
        assert.ok(Math.abs(value - (b[position] as number)) < 1e-6);
      });
    });
  });

test('lowerOperators leaves a node that no parameter reaches', () => {
  const rule = lowered.find(({ operator }) => operator === 'LSTM') as RuleCase;
  const { alone } = nodeModel(rule, 'static');
  assert.equal(lowerOperators(alone, [], lowerings), alone);
});
