import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DigestError,
  decodeRunConfig,
  digestOfCid,
  encodeCbor,
  encodeRunConfig,
  exampleRun,
  hasManifest,
  nameBlob,
  outerStepAt,
  parseRunConfig,
  peerIdOf,
  protocolVersion,
  type RunConfig,
  RunConfigError,
  type RunConfigInput,
  runDigest,
  runIdOf,
  sha256,
  tokensPerStep,
  unitOf,
} from '@murmuration/base';
import fc from 'fast-check';

const founders = [1, 2, 3].map((index) => peerIdOf(sha256(Uint8Array.of(index))));
const input: RunConfigInput = {
  ...exampleRun,
  outer: [
    { fromRound: 0, step: 1 },
    { fromRound: 100, step: 0.5 },
  ],
  founders,
  invitationSignatures: 2,
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
  ['model.frozen', { tensors: 'x', values: 1 }, 'CIDv1'],
  ['data.tokenizer', 'words', 'bytes', 'words'],
  ['data.context', 1, '2'],
  ['data.kind', 'images', "'text' or 'arrays'", '"images"'],
  ['data', { kind: 'arrays', context: 3 }, 'context'],
  ['batch', 100_000, '65536', 100_000],
  ['initial.seed', '', '1'],
  ['initial.tensors', undefined, 'string', 'got nothing'],
  ['inner.learningRate', -1, '0', '-1'],
  ['inner.learningRate', Number.NaN, 'NaN'],
  ['inner.optimizer', 'adamw', "'adamw', 'sgd' or 'muon'", '"adamw"'],
  ['inner.optimizer.kind', 'lion', "'adamw', 'sgd' or 'muon'", '"lion"'],
  ['inner.optimizer.beta1', 1, '<1', '1'],
  ['inner.schedule.kind', 'steps', "'cosine' or 'wsd'", '"steps"'],
  ['inner.schedule.floor', 1.5, '1', '1.5'],
  ['inner.schedule', { kind: 'wsd', floor: 0, decayRounds: 1_001 }, 'decayRounds', '1000', '1001'],
  ['inner.accumulate', 0, '1', '0'],
  ['inner.optimizer.epsilon', '1e-8', 'number', '"1e-8"'],
  ['round.steps', '5', 'number', '"5"'],
  ['round.durationMaxMs', 1, '100'],
  ['round.viewTimeoutMs', 86_400_001, '86400000'],
  ['delta.chunk', 1_024, '4096', '1024'],
  ['delta.bits', 3, '1', '2', '4', '8', '3'],
  ['delta.k', 2_000, '1024', '2000'],
  ['delta.kMin', 0, '1', '0'],
  ['delta.kMin', 65, '64', 'delta.k', '65'],
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
  ['inner.optimizer.momentum', 0.9, 'inner.optimizer', 'momentum'],
];

for (const [path, value, ...words] of refused)
  test(
    `parseRunConfig names ${path}, what was expected and what came: ${JSON.stringify(value) ?? 'nothing'}`.slice(
      0,
      100,
    ),
    () => {
      const isNested = typeof value === 'object' && !Array.isArray(value);
      const named = path === 'extra' || path.endsWith('momentum') || isNested ? [] : [`${path}:`];
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
  assert.equal(runId, 'bafkreiakaviy5pq3t3fvq2uzl3xl6nsjc2xdi4yphrohfxya53b3ddar7y');
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

test('parseRunConfig accepts every kind of data, optimizer and schedule, and what may be left out', () => {
  const { seed: _, ...initial } = exampleRun.initial;
  const momentum = { momentum: 0.9, nesterov: true };
  const moments = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
  const variants: Partial<RunConfigInput>[] = [
    { data: { kind: 'arrays' }, initial },
    { model: { ...exampleRun.model, frozen: { tensors: exampleRun.model.graph, values: 7 } } },
    ...[
      { optimizer: { kind: 'sgd', ...momentum } as const },
      { optimizer: { kind: 'muon', ...momentum, ...moments, iterations: 5, rateOfVectors: 0.2 } as const },
      { schedule: { kind: 'constant' } as const },
      { schedule: { kind: 'wsd', floor: 0, decayRounds: 100 } as const },
    ].map((changes) => ({ inner: { ...exampleRun.inner, ...changes } })),
  ];
  const runs = variants.map((variant) => parseRunConfig({ ...exampleRun, ...variant }));
  variants.forEach((variant, index) => {
    assert.deepEqual(runs[index], { ...exampleRun, ...variant });
    assert.deepEqual(decodeRunConfig(encodeRunConfig(runs[index] as RunConfig)), runs[index]);
  });
  assert.equal(new Set(runs.map(runIdOf)).size, variants.length);
});

test('tokensPerStep counts what unitOf says: tokens of text, samples of arrays', () => {
  const run = parseRunConfig({ ...exampleRun, inner: { ...exampleRun.inner, accumulate: 3 } });
  assert.equal(tokensPerStep(run), 8 * 32 * 3);
  assert.equal(tokensPerStep({ ...run, data: { kind: 'arrays' } }), 8 * 3);
  assert.deepEqual([unitOf(run), unitOf({ data: { kind: 'arrays' } })], ['tokens', 'samples']);
});

test('outerStepAt follows the table', () => {
  const run = parseRunConfig(input);
  assert.deepEqual(
    [0, 1, 99, 100, 101, 10_000].map((round) => outerStepAt(run, round)),
    [1, 1, 1, 0.5, 0.5, 0.5],
  );
});
