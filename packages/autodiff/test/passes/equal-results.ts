import assert from 'node:assert/strict';
import { createRandom } from '@murmuration/base';
import { checkModel, type Model, type Tensor } from '@murmuration/onnx';
import { runModel, tensor } from '../run-model.ts';

/** Random values for every input of a model, which must have numbers as dimensions. */
export function randomFeeds(model: Model, seed: string): Record<string, Tensor> {
  const random = createRandom(seed);
  return Object.fromEntries(
    model.graph.inputs.map(({ name, shape = [] }) => {
      const sizes = shape.map(Number);
      const length = sizes.reduce((product, size) => product * size, 1);
      return [
        name,
        tensor(
          sizes,
          Array.from({ length }, () => 4 * random.unit() - 2),
        ),
      ];
    }),
  );
}

/** Runs both models on the same random inputs; each output must be equal up to a relative rounding error. */
export async function assertEqualResults(before: Model, after: Model, tolerance = 1e-5): Promise<void> {
  checkModel(after);
  const feeds = randomFeeds(before, 'equal results');
  const expected = await runModel(before, feeds);
  const got = await runModel(after, feeds);
  assert.deepEqual(Object.keys(got), Object.keys(expected));
  for (const [name, values] of Object.entries(expected)) {
    const others = got[name] ?? [];
    assert.equal(others.length, values.length, name);
    const size = Math.hypot(...values);
    assert.ok(size > 0, `${name} is zero`);
    const error = Math.hypot(...values.map((value, index) => value - (others[index] ?? Number.NaN)));
    assert.ok(error <= tolerance * size, `${name}: relative error ${error / size}`);
  }
}

/** How many nodes of each operator a model has. */
export function operatorCounts(model: Model): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { operator } of model.graph.nodes) counts[operator] = (counts[operator] ?? 0) + 1;
  return counts;
}
