import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Attribute,
  type Attributes,
  type Dimension,
  float,
  floats,
  type Graph,
  graphAttribute,
  inferNode,
  int,
  ints,
  type KnownValue,
  OnnxError,
  text,
} from '../../src/index.ts';
import { shapeRules } from '../../src/shape-rules/table.ts';

const dimension: fc.Arbitrary<Dimension> = fc.oneof(
  fc.integer({ min: 0, max: 6 }),
  fc.constantFrom('batch', 'context', 'context + 1', 'floor((height + 1)/2)', '?'),
  fc.constantFrom(2 ** 31, 2 ** 52),
);
const number = fc.oneof(
  fc.integer({ min: -4, max: 6 }),
  fc.constantFrom(2 ** 31, -(2 ** 53), 2 ** 53 - 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY),
);

const value: fc.Arbitrary<KnownValue> = fc.oneof(
  fc.record({
    type: fc.constantFrom('float32' as const, 'int64' as const, 'bool' as const),
    shape: fc.option(fc.array(dimension, { maxLength: 5 }), { nil: undefined }),
  }),
  fc
    .array(fc.oneof(number, dimension), { maxLength: 8 })
    .map((elements): KnownValue => ({ type: 'int64', shape: [elements.length], elements })),
  number.map((element): KnownValue => ({ type: 'int64', shape: [], elements: [element] })),
);

const body: fc.Arbitrary<Graph> = fc.integer({ min: 0, max: 3 }).map((count) => ({
  name: 'body',
  nodes: [],
  initializers: [],
  inputs: Array.from({ length: count }, (_, index) => ({ name: `in${index}`, type: 'float32' as const })),
  outputs: Array.from({ length: count }, (_, index) => ({ name: `in${index}`, type: 'float32' as const })),
}));

const whole = fc.oneof(fc.integer({ min: -3, max: 5 }), fc.constantFrom(2 ** 53 - 1, -(2 ** 53)));
const attribute: fc.Arbitrary<Attribute> = fc.oneof(
  whole.map(int),
  fc.array(whole, { maxLength: 6 }).map(ints),
  fc.constantFrom('SAME_UPPER', 'VALID', 'bidirectional', 'ij,jk->ik', 'i...->...', '->', 'none').map(text),
  fc.float().map(float),
  fc.array(fc.float(), { maxLength: 4 }).map(floats),
  body.map(graphAttribute),
);
const names = [
  ...[
    'axis',
    'axes',
    'perm',
    'keepdims',
    'kernel_shape',
    'strides',
    'pads',
    'dilations',
    'group',
    'blocksize',
  ],
  ...[
    'to',
    'dtype',
    'equation',
    'auto_pad',
    'ceil_mode',
    'direction',
    'layout',
    'hidden_size',
    'split',
    'shape',
  ],
  ...['starts', 'ends', 'batch_dims', 'num_scan_inputs', 'scan_input_axes', 'scan_output_axes', 'body'],
  ...[
    'then_branch',
    'else_branch',
    'num_heads',
    'kv_num_heads',
    'q_num_heads',
    'qkv_hidden_sizes',
    'onesided',
  ],
  ...['inverse', 'output_shape', 'output_padding', 'scales', 'value', 'reduction', 'start', 'end', 'k'],
  ...['noop_with_empty_axes', 'allowzero', 'keep_aspect_ratio_policy', 'sample_size', 'pooled_shape'],
];
const attributes: fc.Arbitrary<Attributes> = fc.dictionary(fc.constantFrom(...names), attribute, {
  maxKeys: 6,
});

test('shape rules end in bounded shapes or an OnnxError, whatever a node says', () => {
  const operators = Object.entries(shapeRules).flatMap(([domain, rules]) =>
    Object.keys(rules).map((operator) => ({ domain, operator })),
  );
  const inferred = new Set<string>();
  fc.assert(
    fc.property(
      fc.constantFrom(...operators),
      fc.array(fc.option(value, { nil: undefined }), { maxLength: 6 }),
      attributes,
      ({ domain, operator }, values, settings) => {
        const inputs = values.map((each, index) => (each ? `in${index}` : ''));
        const known = new Map(values.flatMap((each, index) => (each ? [[`in${index}`, each] as const] : [])));
        try {
          const outputs = inferNode(
            { name: 'n', operator, domain, inputs, outputs: ['a', 'b'], attributes: settings },
            known,
          );
          inferred.add(`${domain}:${operator}`);
          for (const { shape = [], elements = [] } of outputs) {
            assert.ok(shape.length <= 16 && elements.length <= 64);
            for (const size of shape)
              assert.ok(
                typeof size === 'string' ? size.length <= 256 : Number.isSafeInteger(size) && size >= 0,
              );
          }
        } catch (error) {
          assert.ok(error instanceof OnnxError, `${operator}: ${(error as Error).stack}`);
        }
      },
    ),
    { numRuns: 30_000 },
  );
  assert.ok(inferred.size > 0.9 * operators.length, `only ${inferred.size} operators were ever inferred`);
});
