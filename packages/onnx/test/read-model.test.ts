import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import {
  checkModel,
  createGraphBuilder,
  type Dimension,
  gpt,
  inferShapes,
  type Model,
  OnnxError,
  parametersOf,
  readModel,
  writeModel,
} from '../src/index.ts';
import { schema } from '../src/schema.ts';
import { arbitraryModel } from './arbitrary-model.ts';

const fixture = (name: string): Buffer => readFileSync(new URL(`./fixtures/${name}`, import.meta.url));
const tiny = gpt({ vocabulary: 5, context: 4, width: 4, layers: 1, heads: 2 });

/** Reads bytes and everything that follows from them; only `OnnxError` may come out. */
function readAll(bytes: Uint8Array): Model | OnnxError {
  try {
    const model = readModel(bytes);
    checkModel(model);
    inferShapes(model);
    parametersOf(model);
    return model;
  } catch (error) {
    if (error instanceof OnnxError) return error;
    throw error;
  }
}

const messageOf = (write: (writer: BinaryWriter) => void): Uint8Array => {
  const writer = new BinaryWriter();
  write(writer);
  return writer.finish();
};

const bytesField = (writer: BinaryWriter, field: number, bytes: Uint8Array): BinaryWriter =>
  writer.tag(field, WireType.LengthDelimited).bytes(bytes);

/** A model with one initializer whose message is given. */
const withInitializer = (tensor: Uint8Array): Uint8Array =>
  messageOf((model) =>
    bytesField(
      model,
      7,
      messageOf((graph) => bytesField(graph, 5, tensor)),
    ),
  );

test('readModel gives what writeModel was given', () => {
  fc.assert(
    fc.property(arbitraryModel, (model) => {
      assert.deepEqual(readModel(writeModel(model)), model);
    }),
  );
  assert.deepEqual(readModel(writeModel(tiny)), tiny);
});

test('writeModel gives equal bytes for equal models', () => {
  assert.deepEqual(writeModel(readModel(writeModel(tiny))), writeModel(tiny));
});

test('schema agrees with the official onnx package', () => {
  const official = JSON.parse(fixture('schema.json').toString()) as Record<string, Record<string, string>>;
  const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  for (const [message, fields] of Object.entries(schema))
    for (const [number, field] of Object.entries(fields))
      assert.equal(snake(field.name).split(' ')[0], official[message]?.[number], `${message} ${number}`);
});

test('readModel reads what the official onnx package wrote', () => {
  const model = readModel(fixture('official.onnx'));
  const [, odd] = model.graph.nodes;
  assert.deepEqual(model.opsets, { '': 20, 'org.example': 1 });
  assert.deepEqual(model.metadata, { key: 'value' });
  assert.deepEqual(model.graph.inputs, [{ name: 'x', type: 'float32', shape: ['batch', 2] }]);
  assert.deepEqual(model.graph.outputs, [{ name: 'y', type: 'float32', shape: ['?', 'n'] }]);
  assert.deepEqual(odd?.inputs, ['sum', '', 'longs']);
  assert.deepEqual(odd?.attributes, {
    an_int: { kind: 'int', value: -7 },
    a_float: { kind: 'float', value: 0.25 },
    a_text: { kind: 'text', value: 'text' },
    some_ints: { kind: 'ints', value: [1, -2, 3] },
    some_floats: { kind: 'floats', value: [0.5, -0.5] },
    some_texts: { kind: 'texts', value: ['a', 'b'] },
    a_tensor: { kind: 'tensor', value: { name: '', type: 'float32', shape: [], data: Float32Array.of(9) } },
  });
  assert.deepEqual(
    model.graph.initializers.map(({ type, data }) => [type, [...data]]),
    [
      ['float32', [1.5, -2.5]],
      ['float64', [0.1]],
      ['int64', [-1n, 2n ** 40n]],
      ['int8', [-3, 4]],
      ['bool', [1, 0]],
      ['uint64', [2n ** 63n]],
      ['uint32', [2 ** 32 - 1]],
      ['int32', [1, 2, 3, 4]],
      ['float16', [0x3c00, 0xc000]],
    ],
  );
});

test('readModel ends in a model or an OnnxError on random bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      readAll(bytes);
    }),
    { numRuns: 2_000 },
  );
});

test('readModel ends in an OnnxError on most truncated bytes, and in nothing else', () => {
  const whole = fixture('official.onnx');
  const results = Array.from({ length: whole.length }, (_, length) => readAll(whole.subarray(0, length)));
  assert.ok(results.filter((result) => result instanceof OnnxError).length > 0.95 * whole.length);
});

test('readModel ends in a model or an OnnxError when one bit is flipped', () => {
  const whole = writeModel(tiny);
  for (let index = 0; index < whole.length; index += 2) {
    const flipped = whole.slice();
    flipped[index] = (flipped[index] as number) ^ (1 << (index % 8));
    readAll(flipped);
  }
});

const refused = (code: OnnxError['code']) => (error: unknown) => {
  assert.ok(error instanceof OnnxError, String(error));
  assert.equal(error.code, code, error.message);
  return true;
};

test('readModel takes a symbol that is a number for the number', () => {
  const shaped = (dimension: Dimension): Model => {
    const builder = createGraphBuilder('shaped');
    builder.input('x', 'float32', [dimension]);
    return builder.model();
  };
  assert.deepEqual(readModel(writeModel(shaped('6'))), shaped(6));
  assert.deepEqual(readModel(writeModel(shaped('6*batch'))), shaped('6*batch'));
});

test('readModel takes the largest and smallest integers of attributes for "to the end"', () => {
  const attribute = (value: bigint): Uint8Array =>
    messageOf((writer) => {
      bytesField(writer, 1, new TextEncoder().encode('ends'));
      writer.tag(8, WireType.Varint).int64(value);
      writer.tag(20, WireType.Varint).int32(7);
    });
  const read = (value: bigint) => {
    const node = messageOf((writer) => bytesField(writer, 5, attribute(value)));
    const graph = messageOf((writer) => bytesField(writer, 1, node));
    return readModel(messageOf((writer) => bytesField(writer, 7, graph))).graph.nodes[0]?.attributes.ends;
  };
  const [end, start] = [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER];
  assert.deepEqual(read(2n ** 63n - 1n), { kind: 'ints', value: [end] });
  assert.deepEqual(read(-(2n ** 63n)), { kind: 'ints', value: [start] });
  assert.throws(() => read(2n ** 60n), refused('unsupported'));
});

test('readModel refuses absurd dimensions without allocating them', () => {
  const dims = (...sizes: readonly bigint[]): Uint8Array =>
    withInitializer(
      messageOf((tensor) => {
        for (const size of sizes) tensor.tag(1, WireType.Varint).int64(size);
        tensor.tag(2, WireType.Varint).int32(1);
        bytesField(tensor, 9, new Uint8Array(4));
      }),
    );
  assert.throws(() => readModel(dims(2n ** 40n)), refused('malformed'));
  assert.throws(() => readModel(dims(2n ** 31n, 2n ** 31n, 2n ** 31n)), refused('malformed'));
  assert.throws(() => readModel(dims(2n ** 62n)), refused('unsupported'));
  assert.throws(() => readModel(dims(-1n, -1n)), refused('malformed'));
  assert.throws(() => readModel(dims(...Array.from({ length: 17 }, () => 1n))), refused('malformed'));
  assert.equal(readModel(dims(1n)).graph.initializers.length, 1);
});

test('readModel refuses lengths beyond the end', () => {
  const bytes = messageOf((model) => model.tag(7, WireType.LengthDelimited).uint32(2 ** 31));
  assert.throws(() => readModel(bytes), refused('malformed'));
});

test('readModel refuses what it cannot hold', () => {
  const text = messageOf((tensor) => tensor.tag(2, WireType.Varint).int32(8));
  const segment = messageOf((tensor) => bytesField(tensor, 3, new Uint8Array()));
  assert.throws(() => readModel(withInitializer(segment)), refused('unsupported'));
  assert.throws(() => readModel(withInitializer(text)), refused('unsupported'));
  assert.throws(() => readModel(new Uint8Array()), refused('malformed'));
  assert.throws(() => readModel(Uint8Array.of(0x0b, 0x0c)), refused('malformed'));
});

test('readModel refuses more messages than its maximum', () => {
  const graph = messageOf((writer) => {
    for (let index = 0; index < 1_000_001; index++) writer.tag(1, WireType.LengthDelimited).uint32(0);
  });
  assert.throws(() => readModel(messageOf((model) => bytesField(model, 7, graph))), refused('malformed'));
});
