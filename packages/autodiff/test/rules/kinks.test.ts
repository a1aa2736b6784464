import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Attribute, createGraphBuilder, type ElementType, float, int, text } from '@murmuration/onnx';
import { differentiate, gradientName } from '../../src/index.ts';
import { runModel, tensor } from '../run-model.ts';

type JsonNumber = number | 'NaN' | 'Infinity' | '-Infinity';

interface KinkCase {
  readonly operator: string;
  readonly note: string;
  readonly attributes: Readonly<Record<string, number | string>>;
  readonly inputs: readonly {
    readonly type: ElementType;
    readonly shape: readonly number[];
    readonly values: readonly JsonNumber[];
  }[];
  /** By each input; null where PyTorch was not asked. */
  readonly gradients: readonly (readonly JsonNumber[] | null)[];
}

const { cases } = JSON.parse(readFileSync(new URL('../fixtures/kinks.json', import.meta.url), 'utf8')) as {
  readonly cases: readonly KinkCase[];
};

/** Attributes that are floats even where their value is whole. */
const floatAttributes: ReadonlySet<string> = new Set(['alpha', 'beta', 'lambd']);

function attributeOf(name: string, value: number | string): Attribute {
  if (typeof value === 'string') return text(value);
  return floatAttributes.has(name) ? float(value) : int(value);
}

/** The gradients of Σ y · [1, 2, 3, …] by the inputs that have one in PyTorch. */
async function gradientsOf(kink: KinkCase): Promise<readonly (readonly number[] | null)[]> {
  const builder = createGraphBuilder('kink');
  const feeds: Record<string, ReturnType<typeof tensor>> = {};
  const names = kink.inputs.map(({ type, shape, values }, index) => {
    const name = `input${index}`;
    const data = tensor(shape, values.map(Number), type);
    if (kink.gradients[index] === null) return builder.initializer({ ...data, name });
    feeds[name] = data;
    return builder.input(name, type, shape);
  });
  const attributes = Object.entries(kink.attributes).map(([name, value]) => [name, attributeOf(name, value)]);
  const y = builder.node(kink.operator, names, Object.fromEntries(attributes));
  const flat = builder.node('Reshape', [y, builder.int64s([-1])]);
  const size = builder.node('Cast', [builder.node('Size', [flat])], { to: int(1) });
  const next = builder.node('Add', [size, builder.float32(1)]);
  const weights = builder.node('Range', [builder.float32(1), next, builder.float32(1)]);
  const product = builder.node('Mul', [flat, weights]);
  builder.output(builder.node('ReduceSum', [product], { keepdims: int(0) }, 'loss'), 'float32', []);
  const model = builder.model();
  const newest = { ...model, irVersion: 11, opsets: { ...model.opsets, '': 23 } };
  const outputs = await runModel(
    differentiate(newest, { loss: 'loss', parameters: Object.keys(feeds) }),
    feeds,
  );
  return names.map((name) => {
    const gradient = outputs[gradientName(name)];
    return gradient ? [...gradient] : null;
  });
}

const isClose = (value: number, expected: number): boolean =>
  Object.is(value, expected) ||
  (Number.isNaN(value) && Number.isNaN(expected)) ||
  Math.abs(value - expected) <= 1e-5 * Math.max(1, Math.abs(expected));

for (const kink of cases)
  test(`gradient of ${kink.operator}${kink.note ? ` (${kink.note})` : ''} is PyTorch's where functions break`, async () => {
    const gradients = await gradientsOf(kink);
    kink.gradients.forEach((expected, index) => {
      const gradient = gradients[index] ?? [];
      const wanted = expected?.map(Number) ?? [];
      assert.ok(
        gradient.length === wanted.length &&
          wanted.every((value, at) => isClose(gradient[at] as number, value)),
        `input ${index}: expected ${wanted}, got ${gradient}`,
      );
    });
  });
