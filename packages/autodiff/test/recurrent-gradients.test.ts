import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createGraphBuilder, int, ints, type Model, type Tensor, text } from '@murmuration/onnx';
import { differentiate, gradientName } from '../src/index.ts';
import { runModel, tensor } from './run-model.ts';

interface Values {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

interface Case {
  readonly operator: 'RNN' | 'GRU' | 'LSTM';
  readonly lengths?: readonly number[];
  readonly loss: number;
  readonly inputs: Readonly<Record<string, Values>>;
  readonly gradients: Readonly<Record<string, Values>>;
}

const fixture = JSON.parse(
  readFileSync(new URL('./fixtures/recurrent-gradients.json', import.meta.url), 'utf8'),
) as { readonly cases: readonly Case[] };

/** Both layers as PyTorch's exporter writes them, with symbolic length and batch. */
function network({ operator, lengths, inputs }: Case): Model {
  const builder = createGraphBuilder(operator);
  for (const [name, { shape }] of Object.entries(inputs))
    builder.input(name, 'float32', name === 'x' ? ['length', 'batch', shape[2] as number] : shape);
  const sizes = lengths
    ? builder.initializer({ ...tensor([lengths.length], lengths, 'int32'), name: 'sizes' })
    : '';
  const hidden = inputs.R0?.shape[2] as number;
  const states: string[][] = [[], []];
  const layer = (x: string, index: number): string => {
    const outputs = ['y', 'h', ...(operator === 'LSTM' ? ['c'] : [])];
    const given = [x, `W${index}`, `R${index}`, `B${index}`, sizes];
    const [y = '', ...last] = builder.nodes(operator, given, outputs, {
      direction: text('bidirectional'),
      hidden_size: int(hidden),
      ...(operator === 'GRU' ? { linear_before_reset: int(1) } : {}),
    });
    last.forEach((state, kind) => {
      states[kind]?.push(state);
    });
    const turned = builder.node('Transpose', [y], { perm: ints([0, 2, 1, 3]) });
    return builder.node('Reshape', [turned, builder.int64s([0, 0, -1])]);
  };
  const y = layer(layer('x', 0), 1);
  const meanSquare = (value: string): string =>
    builder.node('ReduceMean', [builder.node('Mul', [value, value])], { keepdims: int(0) });
  const parts = states
    .filter((list) => list.length > 0)
    .map((list) => meanSquare(builder.node('Concat', list, { axis: int(0) })));
  const loss = [meanSquare(y), ...parts].reduce((sum, part) => builder.node('Add', [sum, part]));
  builder.node('Identity', [loss], {}, 'loss');
  builder.output('loss', 'float32', []);
  return builder.model();
}

const norm = (values: readonly number[]): number => Math.hypot(...values);

for (const each of fixture.cases)
  test(`differentiate gives the loss and every gradient of PyTorch's ${each.operator}${each.lengths ? ' with lengths' : ''}`, async () => {
    const parameters = Object.keys(each.inputs);
    const feeds: Record<string, Tensor> = Object.fromEntries(
      Object.entries(each.inputs).map(([name, { shape, values }]) => [name, tensor(shape, values)]),
    );
    const outputs = await runModel(differentiate(network(each), { loss: 'loss', parameters }), feeds);
    const loss = outputs.loss?.[0] ?? Number.NaN;
    assert.ok(Math.abs(loss / each.loss - 1) < 1e-5, `loss ${loss}, PyTorch ${each.loss}`);
    for (const [name, { values }] of Object.entries(each.gradients)) {
      const gradient = outputs[gradientName(name)];
      assert.equal(gradient?.length, values.length, name);
      const error = norm(values.map((value, index) => value - (gradient?.[index] ?? Number.NaN)));
      assert.ok(norm(values) > 0 && error / norm(values) < 1e-4, `${name}: ${error / norm(values)}`);
    }
  });
