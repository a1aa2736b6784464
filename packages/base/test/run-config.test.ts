import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  cidOf,
  DigestError,
  decodeRunConfig,
  digestOfCid,
  encodeCbor,
  encodeRunConfig,
  hasManifest,
  nameBlob,
  outerStepAt,
  parseRunConfig,
  peerIdOf,
  protocolVersion,
  RunConfigError,
  type RunConfigInput,
  runDigest,
  runIdOf,
  sha256,
} from '@murmuration/base';
import fc from 'fast-check';

const founders = [1, 2, 3].map((index) => peerIdOf(sha256(Uint8Array.of(index))));
const input: RunConfigInput = {
  protocol: protocolVersion,
  nonce: '00112233445566778899aabbccddeeff',
  name: 'starlings',
  model: { graph: cidOf(Uint8Array.of(1)), bytes: 1_000 },
  tokenizer: 'bytes',
  sample: { context: 128, batch: 8 },
  initial: { seed: 'one', tensors: cidOf(Uint8Array.of(2)), parameters: 1_000_000 },
  inner: {
    optimizer: 'adamw',
    learningRate: 0.002,
    floor: 0.1,
    warmupRounds: 10,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    weightDecay: 0.1,
    clipNorm: 1,
  },
  round: { steps: 5, overlapSteps: 5, graceMs: 2_000, durationMaxMs: 60_000, viewTimeoutMs: 3_000 },
  delta: { chunk: 4_096, k: 64, bits: 2, feedback: 0.95, blobBytesMax: 1_000_000 },
  aggregation: { rule: 'mean', kappa: 0, guestShare: 0.25, contributionsMax: 256 },
  outer: [
    { fromRound: 0, step: 1 },
    { fromRound: 100, step: 0.5 },
  ],
  quorum: 'crash',
  founders,
  invitationSignatures: 2,
  lateHeights: 4,
  snapshotEvery: 64,
  rounds: 1_000,
};

/** A copy of the settings in which the value at a dotted path is another one. */
function changed(path: string, value: unknown): unknown {
  const copy = structuredClone(input) as unknown as Record<string, unknown>;
  const keys = path.split('.');
  const last = keys.pop() as string;
  const target = keys.reduce((object, key) => object[key] as Record<string, unknown>, copy);
  target[last] = value;
  return copy;
}

const invalid =
  (...words: readonly (string | number)[]) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof RunConfigError, String(error));
    assert.equal(error.code, 'invalid');
    for (const word of words) assert.ok(error.message.includes(String(word)), `${word} in: ${error.message}`);
    return true;
  };

test('parseRunConfig accepts a run and gives back the same settings', () => {
  assert.deepEqual(parseRunConfig(input), input);
});

/** Path, bad value, what the error must name besides the path: what was expected, what came. */
const refused: [path: string, value: unknown, ...words: (string | number)[]][] = [
  ['nonce', 'abc', '32 hex digits', 'abc'],
  ['nonce', input.nonce.toUpperCase(), '32 hex digits'],
  ['name', '', '1'],
  ['name', 'x'.repeat(65), '64'],
  ['name', 7, 'string', '7'],
  ['model.graph', 'hello', 'CIDv1', 'hello'],
  ['model.bytes', 0, '1', '0'],
  ['model.bytes', 1.5, 'int', '1.5'],
  ['tokenizer', 'words', 'bytes', 'words'],
  ['sample.context', 1, '2'],
  ['sample.batch', 100_000, '65536', 100_000],
  ['initial.tensors', undefined, 'string', 'got nothing'],
  ['inner.learningRate', -1, '0', '-1'],
  ['inner.learningRate', Number.NaN, 'NaN'],
  ['inner.beta1', 1.5, '1', '1.5'],
  ['inner.epsilon', '1e-8', 'number', '"1e-8"'],
  ['round.steps', '5', 'number', '"5"'],
  ['round.durationMaxMs', 1, '100'],
  ['round.viewTimeoutMs', 86_400_001, '86400000'],
  ['delta.chunk', 1_024, '4096', '1024'],
  ['delta.bits', 3, '1', '2', '3'],
  ['delta.k', 2_000, '1024', '2000'],
  ['aggregation.rule', 'median', 'mean', 'median'],
  ['aggregation.contributionsMax', 257, '256'],
  ['outer', [], '1'],
  ['outer.0.step', 0, '0'],
  ['quorum', 'majority', 'crash', 'byzantine', 'majority'],
  ['founders', [], '1'],
  ['founders.1', 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N', 'Ed25519 peer id', 'QmYyQSo1'],
  ['lateHeights', 17, '16'],
  ['rounds', 0, '1'],
  ['extra', 1, 'extra'],
  ['inner.momentum', 0.9, 'inner', 'momentum'],
];

for (const [path, value, ...words] of refused)
  test(
    `parseRunConfig names ${path}, what was expected and what came: ${JSON.stringify(value) ?? 'nothing'}`.slice(
      0,
      100,
    ),
    () => {
      const named = path === 'extra' ? [] : path === 'inner.momentum' ? [] : [`${path}:`];
      assert.throws(() => parseRunConfig(changed(path, value)), invalid(...named, ...words));
    },
  );

test('parseRunConfig lists all bad keys at once', () => {
  const bad = { ...input, rounds: 0, quorum: 'x', name: '' };
  assert.throws(() => parseRunConfig(bad), invalid('rounds:', 'quorum:', 'name:'));
});

test('parseRunConfig refuses settings that contradict each other', () => {
  const first = founders[0] as string;
  assert.throws(() => parseRunConfig(changed('founders', [first, first])), invalid('founders', 'different'));
  assert.throws(
    () => parseRunConfig(changed('invitationSignatures', 4)),
    invalid('invitationSignatures', 3, 4),
  );
  const outer = (...starts: number[]): unknown =>
    changed(
      'outer',
      starts.map((fromRound) => ({ fromRound, step: 1 })),
    );
  for (const starts of [[1], [0, 0], [0, 5, 3]])
    assert.throws(() => parseRunConfig(outer(...starts)), invalid('outer', `${starts}`));
  parseRunConfig(outer(0, 1, 2));
});

test('parseRunConfig says that another version made the run, before anything else', () => {
  for (const version of [0, 2, 99])
    assert.throws(
      () => parseRunConfig({ protocol: version, somethingNew: true }),
      (error) =>
        error instanceof RunConfigError &&
        error.code === 'unknown-version' &&
        error.message.includes(`${protocolVersion}`) &&
        error.message.includes(`${version}`),
    );
});

test('parseRunConfig ends in RunConfigError for anything', () => {
  fc.assert(
    fc.property(fc.anything(), (value) => {
      assert.throws(() => parseRunConfig(value), RunConfigError);
    }),
  );
});

test('encodeRunConfig does not depend on the order of keys, and decodeRunConfig is its inverse', () => {
  const run = parseRunConfig(input);
  const reversed = parseRunConfig(Object.fromEntries(Object.entries(input).reverse()));
  assert.deepEqual(encodeRunConfig(reversed), encodeRunConfig(run));
  assert.deepEqual(decodeRunConfig(encodeRunConfig(run)), run);
});

test('decodeRunConfig ends in a typed error for any bytes and for settings of another shape', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.throws(
        () => decodeRunConfig(bytes),
        (error) => error instanceof DigestError || error instanceof RunConfigError,
      );
    }),
  );
  assert.throws(() => decodeRunConfig(encodeCbor({ ...input, rounds: 0 })), invalid('rounds:'));
});

test('decodeRunConfig ends in a typed error, or in another run, on truncated and bit-flipped settings', () => {
  const run = parseRunConfig(input);
  const bytes = encodeRunConfig(run);
  const idOf = (damaged: Uint8Array): string | undefined => {
    try {
      return runIdOf(decodeRunConfig(damaged));
    } catch (error) {
      assert.ok(error instanceof DigestError || error instanceof RunConfigError, String(error));
      return undefined;
    }
  };
  for (let length = 0; length < bytes.length; length++)
    assert.equal(idOf(bytes.subarray(0, length)), undefined, `${length} bytes`);
  const otherRuns = Array.from({ length: 8 * bytes.length }, (_, bit) => {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
    return idOf(flipped);
  }).filter((id) => id !== undefined);
  assert.ok(otherRuns.length > 0 && !otherRuns.includes(runIdOf(run)));
});

test('runIdOf names the settings as an ordinary blob, and every setting counts', () => {
  const run = parseRunConfig(input);
  const runId = runIdOf(run);
  assert.equal(runId, 'bafkreib33tk2iewknk5oyxmox75qdsaybpjeopltv7rretmrenv4jc5uny');
  assert.equal(runId, nameBlob(encodeRunConfig(run)).cid);
  assert.equal(hasManifest(runId), false);
  assert.deepEqual(runDigest(runId), digestOfCid(runId));
  const others = [
    changed('nonce', '00112233445566778899aabbccddeefe'),
    changed('inner.learningRate', 0.0020000000000000005),
    changed('founders', [...founders].reverse()),
    changed('rounds', 1_001),
  ];
  const ids = new Set(others.map((other) => runIdOf(parseRunConfig(other))));
  assert.equal(ids.add(runId).size, 5);
});

test('outerStepAt follows the table', () => {
  const run = parseRunConfig(input);
  assert.deepEqual(
    [0, 1, 99, 100, 101, 10_000].map((round) => outerStepAt(run, round)),
    [1, 1, 1, 0.5, 0.5, 0.5],
  );
});
