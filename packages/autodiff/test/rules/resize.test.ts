import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGraphBuilder, type Dimension, int, ints, type Model, text } from '@murmuration/onnx';
import { checkGradients, differentiate } from '../../src/index.ts';
import { runModel, tensor } from '../run-model.ts';

const loss = 'loss';

interface Target {
  readonly model: Model;
  readonly parameters: readonly string[];
}

/** x resized to the sizes of another image, as feature pyramids do; the loss weighs and sums it. */
function resizedTo(mode: string, coordinates: string): Target {
  const builder = createGraphBuilder('pyramid');
  const x = builder.input('x', 'float32', ['batch', 2, 'height', 'width']);
  const large = builder.input('large', 'float32', ['batch', 2, 'tall', 'wide']);
  const scale = builder.input('scale', 'float32', []);
  const sizes = builder.node('Shape', [large]);
  const y = builder.node('Resize', [builder.node('Mul', [x, scale]), '', '', sizes], {
    mode: text(mode),
    coordinate_transformation_mode: text(coordinates),
  });
  const product = builder.node('Mul', [y, large]);
  builder.output(builder.node('ReduceSum', [product], { keepdims: int(0) }, loss), 'float32', []);
  return { model: builder.model(), parameters: [x, scale] };
}

const noise = (count: number, step: number): readonly number[] =>
  Array.from({ length: count }, (_, index) => Math.sin(1 + step * index));

for (const mode of ['nearest', 'linear'])
  for (const coordinates of ['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'])
    test(`gradient of Resize to sizes known at run time (${mode}, ${coordinates}) equals central differences`, async () => {
      const { model, parameters } = resizedTo(mode, coordinates);
      for (const [height, width] of [
        [7, 4],
        [2, 1],
      ] as const) {
        const feeds = {
          x: tensor([2, 2, 3, 4], noise(48, 0.7)),
          large: tensor([2, 2, height, width], noise(4 * height * width, 1.3)),
          scale: tensor([], [0.8]),
        };
        const checked = await checkGradients(model, feeds, {
          loss,
          parameters,
          run: runModel,
          step: 5e-3,
          tolerance: 5e-3,
        });
        assert.equal(checked.length, 2);
      }
    });

/** The training graph of x resized to constant sizes. */
function training(shape: readonly Dimension[], sizes: readonly number[], mode: string): Model {
  const builder = createGraphBuilder('sizes');
  const x = builder.input('x', 'float32', shape);
  const y = builder.node('Resize', [x, '', '', builder.int64s(sizes)], {
    mode: text(mode),
    axes: ints([2, 3]),
  });
  builder.output(builder.node('ReduceSum', [y], { keepdims: int(0) }, loss), 'float32', []);
  return differentiate(builder.model(), { loss, parameters: [x] });
}

test('differentiate of Resize with absurd sizes is a small graph or a typed error', () => {
  const absurd = 2 ** 40;
  for (const shape of [
    [1, 1, absurd, absurd],
    [1, 1, 3, 3],
  ]) {
    const { graph } = training(shape, [absurd, 2 ** 41], 'linear');
    assert.ok(graph.initializers.every(({ data }) => data.length < 100));
    assert.throws(() => training(shape, [absurd, 2 ** 41 + 1], 'cubic'), { code: 'unsupported' });
  }
});

test('differentiate of Resize says which sizes it wants to know for a filter that reaches far', () => {
  assert.throws(() => training([1, 1, 'height', 4], [8, 8], 'cubic'), {
    code: 'unsupported',
    message: /expected numbers as sizes.*axis \d are \[/,
  });
});
