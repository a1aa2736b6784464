import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Attribute, createGraphBuilder, float, int, ints, type Tensor } from '@murmuration/onnx';
import { differentiate } from '../src/index.ts';
import { runModel, tensor } from './run-model.ts';

interface Values {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** One node, computed by PyTorch; made by scripts/convolution-reference.py. */
interface Reference {
  readonly name: string;
  readonly operator: string;
  readonly attributes: Readonly<Record<string, number | readonly number[]>>;
  readonly inputs: Readonly<Record<string, Values>>;
  readonly weight: Values;
  readonly loss: number;
  readonly gradients: Readonly<Record<string, Values>>;
  /** Running statistics after the step. */
  readonly updated: Readonly<Record<string, Values>>;
}

const references = JSON.parse(
  readFileSync(new URL('fixtures/convolution-gradients.json', import.meta.url), 'utf8'),
) as readonly Reference[];

const attributeOf = (value: number | readonly number[]): Attribute => {
  if (typeof value !== 'number') return ints(value);
  return Number.isInteger(value) ? int(value) : float(value);
};

/** loss = Σ output · weight, differentiated by every input. */
function trainingOf({ operator, attributes, inputs, weight }: Reference) {
  const builder = createGraphBuilder('reference');
  const names = Object.entries(inputs).map(([name, { shape }]) => builder.input(name, 'float32', shape));
  const typed = Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, attributeOf(value)]),
  );
  const output = builder.node(operator, names, typed);
  const product = builder.node('Mul', [output, builder.input('weight', 'float32', weight.shape)]);
  builder.node('ReduceSum', [product], { keepdims: int(0) }, 'loss');
  builder.output('loss', 'float32', []);
  return differentiate(builder.model(), { loss: 'loss', parameters: names });
}

/** Norm of the difference over the norm of what is expected. */
function relativeError(found: ArrayLike<number>, { values }: Values): number {
  assert.equal(found.length, values.length);
  const difference = Math.hypot(...values.map((value, index) => value - (found[index] as number)));
  return difference / Math.hypot(...values);
}

for (const reference of references)
  test(`gradients of ${reference.operator}, ${reference.name}, equal PyTorch's`, async () => {
    const { inputs, weight, gradients, updated, attributes } = reference;
    const feeds: Record<string, Tensor> = {};
    for (const [name, { shape, values }] of Object.entries({ ...inputs, weight }))
      feeds[name] = tensor(shape, values);
    const found = await runModel(trainingOf(reference), feeds);
    assert.ok(Math.abs((found.loss?.[0] as number) - reference.loss) < 1e-4 * (1 + Math.abs(reference.loss)));
    for (const [name, expected] of Object.entries(gradients))
      assert.ok(relativeError(found[`gradient:${name}`] as Float32Array, expected) < 1e-4, name);
    const perChannel = (inputs.x as Values).values.length / ((inputs.x as Values).shape[1] as number);
    for (const [name, expected] of Object.entries(updated)) {
      // PyTorch averages the variance over n − 1 values, the operator is defined by n.
      const correction = name === 'variance' ? perChannel / (perChannel - 1) : 1;
      const rate = 1 - (attributes.momentum as number);
      const before = (inputs[name] as Values).values;
      const after = Array.from(found[`gradient:${name}`] as Float32Array, (difference, index) => {
        const value = before[index] as number;
        return value - rate * (value - correction * (value - difference));
      });
      assert.ok(relativeError(after, expected) < 1e-4, name);
    }
  });
