import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Attributes,
  createGraphBuilder,
  type Dimension,
  float,
  inferShapes,
  int,
  ints,
  microsoft,
  type Tensor,
  text,
} from '../../src/index.ts';
import { shapeRules } from '../../src/shape-rules/table.ts';
import { noise, runModel, tensor } from '../run-model.ts';

/** A float input's shape, other data, or an optional input left out. */
type Input = readonly number[] | Tensor | '';

interface Case {
  readonly inputs: readonly Input[];
  readonly outputs?: number;
  readonly attributes?: Attributes;
  /** onnxruntime wants sizes of this operator to be numbers. */
  readonly onlyStatic?: boolean;
}

const whole = (shape: readonly number[], values: readonly number[]): Tensor => ({
  name: '',
  type: 'int32',
  shape,
  data: Int32Array.from(values),
});

const x = [2, 5, 8];
const heads = { num_heads: int(2) };

/** Operators of onnxruntime with inputs that it runs. */
const cases: Readonly<Record<string, readonly Case[]>> = {
  FusedMatMul: [
    {
      inputs: [
        [2, 4, 3],
        [2, 4, 5],
      ],
      attributes: { transA: int(1) },
    },
    {
      inputs: [
        [4, 2, 3],
        [2, 3, 5],
      ],
      attributes: { transBatchA: int(1) },
    },
    {
      inputs: [
        [4, 6, 2, 3],
        [5, 6, 2, 3],
      ],
      attributes: { transBatchA: int(1), transBatchB: int(1), transB: int(1) },
    },
  ],
  TransposeMatMul: [
    {
      inputs: [
        [4, 3],
        [4, 5],
      ],
      attributes: { transA: int(1) },
    },
  ],
  FusedGemm: [{ inputs: [[4, 3], [5, 3], [5]], attributes: { transB: int(1), activation: text('Relu') } }],
  FusedConv: [
    {
      inputs: [[2, 4, 9, 9], [6, 2, 3, 3], [6]],
      attributes: {
        group: int(2),
        strides: ints([2, 2]),
        pads: ints([1, 0, 1, 0]),
        activation: text('Relu'),
      },
    },
  ],
  Gelu: [{ inputs: [x] }],
  FastGelu: [{ inputs: [x, [8]] }],
  QuickGelu: [{ inputs: [x] }],
  BiasGelu: [{ inputs: [x, [8]] }],
  Trilu: [{ inputs: [x] }],
  SkipLayerNormalization: [{ inputs: [x, x, [8], [8], [8]], outputs: 4 }],
  SkipSimplifiedLayerNormalization: [{ inputs: [x, x, [8]], outputs: 4 }],
  EmbedLayerNormalization: [
    {
      inputs: [
        whole(
          [2, 5],
          Array.from({ length: 10 }, (_, index) => index % 7),
        ),
        ...['' as const, [7, 8], [6, 8], '' as const, [8], [8]],
        whole(
          [2, 5],
          Array.from({ length: 10 }, () => 1),
        ),
      ],
      outputs: 2,
      onlyStatic: true,
    },
  ],
  RotaryEmbedding: [
    { inputs: [[2, 3, 5, 8], tensor([2, 5], [0, 1, 2, 3, 4, 0, 1, 2, 3, 4], 'int64'), [6, 4], [6, 4]] },
  ],
  Attention: [{ inputs: [x, [8, 24], [24]], attributes: heads }],
  MultiHeadAttention: [
    { inputs: [x, [2, 7, 8], [2, 7, 12]], attributes: heads },
    {
      inputs: [x, x, x, '', '', '', [2, 2, 3, 4], [2, 2, 3, 4]],
      attributes: heads,
      outputs: 3,
    },
  ],
  GroupQueryAttention: [
    {
      inputs: [[2, 5, 32], [2, 5, 16], [2, 5, 16], '', '', whole([2], [4, 4]), whole([1], [5])],
      attributes: { num_heads: int(4), kv_num_heads: int(2), scale: float(1) },
      outputs: 3,
    },
  ],
};

const isTensor = (input: Input): input is Tensor => typeof input === 'object' && 'data' in input;

for (const [operator, list] of Object.entries(cases))
  list.forEach(({ inputs, outputs = 1, attributes = {}, onlyStatic = false }, at) => {
    test(`shape rule of ${operator} (${at + 1}) gives what onnxruntime gives`, async () => {
      for (const symbolic of onlyStatic ? [false] : [false, true]) {
        const builder = createGraphBuilder('case');
        const feeds: Record<string, Tensor> = {};
        const names = inputs.map((input, index) => {
          if (input === '') return '';
          const name = `in${index}`;
          const value = isTensor(input) ? input : noise(input, name);
          feeds[name] = value;
          const declared = value.shape.map(
            (size): Dimension => (symbolic && size > 1 ? `size${size}` : size),
          );
          return builder.input(name, value.type, declared);
        });
        const stems = Array.from({ length: outputs }, (_, index) =>
          outputs === 4 && (index === 1 || index === 2) ? '' : `out${index}`,
        );
        const made = builder
          .nodes(operator, names, stems, attributes, microsoft)
          .filter((name) => name !== '');
        const known = inferShapes(builder.model());
        for (const name of made) builder.output(name, known.get(name)?.type ?? 'float32');
        const values = await runModel(builder.model(), feeds);
        for (const name of made) {
          const shape = known.get(name)?.shape;
          assert.equal(shape?.length, values[name]?.dims.length, name);
          shape?.forEach((size, axis) => {
            if (typeof size === 'number')
              assert.equal(size, values[name]?.dims[axis], `${name} axis ${axis}`);
            else assert.ok(symbolic || size === '?', `${name}: ${size}`);
            const single = /^size(\d+)$/.exec(String(size));
            if (single) assert.equal(Number(single[1]), values[name]?.dims[axis], `${name}: ${shape}`);
          });
        }
      }
    });
  });

test('every shape rule for an operator of onnxruntime has a case', () => {
  const own = Object.keys(shapeRules[microsoft] ?? {});
  const elsewhere = new Set(['LayerNormalization', 'SimplifiedLayerNormalization']);
  assert.deepEqual(
    own.filter((operator) => !Object.hasOwn(cases, operator) && !elsewhere.has(operator)),
    [],
  );
});
