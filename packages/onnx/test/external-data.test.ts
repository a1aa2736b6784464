import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkExternalLocation, OnnxError, readModel } from '../src/index.ts';

const bytes = readFileSync(new URL('./fixtures/external.onnx', import.meta.url));

const code = (expected: OnnxError['code']) => (error: unknown) => {
  assert.ok(error instanceof OnnxError, String(error));
  assert.equal(error.code, expected, error.message);
  return true;
};

test('readModel reads external data through the given function only', () => {
  const file = new ArrayBuffer(80);
  new Float32Array(file, 0, 6).set([1, 2, 3, 4, 5, 6]);
  new BigInt64Array(file, 64, 2).set([3n, 2n]);
  const asked: unknown[] = [];
  const model = readModel(bytes, {
    external(location, offset, length) {
      asked.push([location, offset, length]);
      return new Uint8Array(file, offset, length);
    },
  });
  assert.deepEqual(asked, [
    ['weights.bin', 0, 24],
    ['weights.bin', 64, 16],
  ]);
  assert.deepEqual(
    model.graph.initializers.map(({ shape, data }) => [shape, [...data]]),
    [
      [
        [2, 3],
        [1, 2, 3, 4, 5, 6],
      ],
      [[2], [3n, 2n]],
    ],
  );
  assert.throws(() => readModel(bytes), code('unsupported'));
});

test('readModel refuses external data of another length', () => {
  assert.throws(() => readModel(bytes, { external: () => new Uint8Array(23) }), code('malformed'));
});

test('readModel checks the location before anything is read', () => {
  const escaped = Buffer.from(bytes);
  const at = escaped.indexOf('weights.bin');
  escaped.write('../eights.b', at);
  const external = () => assert.fail('must not be asked');
  assert.throws(() => readModel(escaped, { external }), code('unsafe-location'));
});

test('checkExternalLocation lets plain paths below the folder pass', () => {
  for (const location of ['weights.bin', 'folder/weights.bin', 'model.onnx_data', 'a..b', '...'])
    checkExternalLocation(location);
});

test('checkExternalLocation refuses whatever could leave the folder', () => {
  const locations = [
    ...[
      '',
      '/etc/passwd',
      '..',
      '../x',
      'a/../../x',
      'a/..',
      './x',
      'a//x',
      'a/',
      'C:x',
      'c:\\x',
      'a\\x',
      '\\\\host\\x',
    ],
    ...['a\0.bin', 'x'.repeat(1_025)],
  ];
  for (const location of locations)
    assert.throws(() => checkExternalLocation(location), code('unsafe-location'), location);
});

test('checkExternalLocation lets nothing pass that a URL or a path would resolve to elsewhere', () => {
  const part = fc.constantFrom('..', '.', '', 'a', 'b.bin', '\\', 'C:');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const location = parts.join('/');
      try {
        checkExternalLocation(location);
      } catch {
        return;
      }
      const resolved = new URL(location, 'file:///folder/model/').pathname;
      assert.ok(resolved.startsWith('/folder/model/') && resolved.length > '/folder/model/'.length, location);
    }),
  );
});
