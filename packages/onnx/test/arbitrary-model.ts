import fc from 'fast-check';
import type { Attribute, Dimension, ElementType, Graph, Model, Tensor, TensorData } from '../src/index.ts';

const stores: Readonly<Record<ElementType, (bytes: ArrayBuffer) => TensorData>> = {
  float32: (bytes) => new Float32Array(bytes),
  float64: (bytes) => new Float64Array(bytes),
  float16: (bytes) => new Uint16Array(bytes),
  bfloat16: (bytes) => new Uint16Array(bytes),
  int8: (bytes) => new Int8Array(bytes),
  int16: (bytes) => new Int16Array(bytes),
  int32: (bytes) => new Int32Array(bytes),
  int64: (bytes) => new BigInt64Array(bytes),
  uint8: (bytes) => new Uint8Array(bytes),
  uint16: (bytes) => new Uint16Array(bytes),
  uint32: (bytes) => new Uint32Array(bytes),
  uint64: (bytes) => new BigUint64Array(bytes),
  bool: (bytes) => new Uint8Array(bytes),
};

const name = fc.string({ minLength: 1, maxLength: 12 });
const elementType = fc.constantFrom(...(Object.keys(stores) as ElementType[]));

const tensor: fc.Arbitrary<Tensor> = fc
  .tuple(name, elementType, fc.array(fc.nat({ max: 3 }), { maxLength: 4 }))
  .map(([tensorName, type, shape]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const bytes = stores[type](new ArrayBuffer(8)).BYTES_PER_ELEMENT * count;
    const values = Uint8Array.from({ length: bytes }, (_, index) => (index * 37 + shape.length) % 64);
    return { name: tensorName, type, shape, data: stores[type](values.buffer) };
  });

const safe = fc.maxSafeInteger();
const real = fc.float({ noNaN: true });
const attribute: fc.Arbitrary<Attribute> = fc.oneof(
  safe.map((value): Attribute => ({ kind: 'int', value })),
  real.map((value): Attribute => ({ kind: 'float', value })),
  fc.string().map((value): Attribute => ({ kind: 'text', value })),
  tensor.map((value): Attribute => ({ kind: 'tensor', value })),
  fc.array(safe).map((value): Attribute => ({ kind: 'ints', value })),
  fc.array(real).map((value): Attribute => ({ kind: 'floats', value })),
  fc.array(fc.string()).map((value): Attribute => ({ kind: 'texts', value })),
);

/** Numbers written as symbols are read as numbers. */
const symbol = name.filter((each) => !/^\d+$/.test(each));
const dimension: fc.Arbitrary<Dimension> = fc.oneof(fc.nat(), symbol, fc.constant('?'));
const valueInfo = fc
  .tuple(name, elementType, fc.option(fc.array(dimension, { maxLength: 4 }), { nil: undefined }))
  .map(([valueName, type, shape]) => ({ name: valueName, type, ...(shape ? { shape } : {}) }));

const plain = { noNullPrototype: true };

/** A graph whose nodes may hold graphs, up to `depth` inside each other. */
function graphOfDepth(depth: number): fc.Arbitrary<Graph> {
  const nested = graphOfDepthOrNone(depth - 1);
  const node = fc.record(
    {
      name: fc.string(),
      operator: name,
      domain: fc.constantFrom('', 'com.microsoft'),
      inputs: fc.array(fc.string(), { maxLength: 3 }),
      outputs: fc.array(fc.string(), { maxLength: 3 }),
      attributes: fc.dictionary(name, nested ? fc.oneof(attribute, nested) : attribute, {
        maxKeys: 3,
        noNullPrototype: true,
      }),
    },
    plain,
  );
  const graph = fc.record(
    {
      name: fc.string(),
      nodes: fc.array(node, { maxLength: 4 }),
      inputs: fc.array(valueInfo, { maxLength: 3 }),
      outputs: fc.array(valueInfo, { maxLength: 3 }),
      initializers: fc.array(tensor, { maxLength: 3 }),
    },
    plain,
  );
  return graph.filter(({ inputs, initializers }) => {
    const constants = new Set(initializers.map((each) => each.name));
    return inputs.every((input) => !constants.has(input.name));
  });
}

const graphOfDepthOrNone = (depth: number): fc.Arbitrary<Attribute> | undefined =>
  depth < 0 ? undefined : graphOfDepth(depth).map((value): Attribute => ({ kind: 'graph', value }));

/** Models that can be written: not necessarily valid ones. */
export const arbitraryModel: fc.Arbitrary<Model> = fc.record(
  {
    irVersion: fc.nat(),
    producer: fc.string(),
    opsets: fc.constant({ '': 20, 'com.microsoft': 1 }),
    metadata: fc.dictionary(name, fc.string(), { maxKeys: 3, noNullPrototype: true }),
    graph: graphOfDepth(2),
  },
  plain,
);
