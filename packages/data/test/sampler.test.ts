import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createSampler, createShard, createTokenStream, type Sampler } from '../src/index.ts';
import { errorCode } from './error-code.ts';
import { documentOf, textOf } from './texts.ts';

const stream = createTokenStream([documentOf('a', textOf('sampler', 300))]);

const draw = (sampler: Sampler, size: number): { tokens: bigint[]; targets: bigint[] } => {
  const tokens = new BigInt64Array(size);
  const targets = new BigInt64Array(size);
  sampler.fill(tokens, targets);
  return { tokens: [...tokens], targets: [...targets] };
};

test('createSampler gives the same samples for the same seed, other ones for another', () => {
  const options = { context: 32, batch: 4, seed: 'a' };
  const [one, two, other] = ['a', 'a', 'b'].map((seed) => createSampler(stream, { ...options, seed })) as [
    Sampler,
    Sampler,
    Sampler,
  ];
  assert.deepEqual(draw(one, 128), draw(two, 128));
  assert.notDeepEqual(draw(one, 128), draw(other, 128));
});

test('createSampler resumes at a position as if it had never stopped', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 700 }),
      fc.integer({ min: 1, max: 7 }),
      fc.integer({ min: 0, max: 40 }),
      fc.string(),
      (context, batch, fills, seed) => {
        const options = { context, batch, seed };
        const sampler = createSampler(stream, options);
        for (let i = 0; i < fills; i++) draw(sampler, batch * context);
        assert.equal(sampler.position, fills * batch);
        const resumed = createSampler(stream, { ...options, position: sampler.position });
        for (let i = 0; i < 3; i++)
          assert.deepEqual(draw(resumed, batch * context), draw(sampler, batch * context));
      },
    ),
    { numRuns: 50 },
  );
});

test('createSampler: targets are the tokens that follow; rows are windows of the stream', () => {
  const text = Uint16Array.from({ length: 1_000 }, (_, i) => i);
  const counting = { tokens: text, bytes: 1_000, segments: 1 };
  const sampler = createSampler(counting, { context: 10, batch: 3, seed: 'x' });
  for (let i = 0; i < 100; i++) {
    const { tokens, targets } = draw(sampler, 30);
    tokens.forEach((token, at) => {
      assert.equal(targets[at], token + 1n);
      if (at % 10 !== 0) assert.equal(token, (tokens[at - 1] as bigint) + 1n);
    });
  }
});

test('createSampler shows no token twice in a pass and misses less than two windows', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 3_000 }),
      fc.integer({ min: 1, max: 300 }),
      fc.string(),
      (length, context, seed) => {
        fc.pre(length > context);
        const counting = { tokens: Uint16Array.from({ length }, (_, i) => i), bytes: length, segments: 1 };
        const sampler = createSampler(counting, { context, batch: 1, seed });
        for (let pass = 0; pass < 2; pass++) {
          const seen = new Set<bigint>();
          for (let i = 0; i < sampler.windows; i++)
            for (const target of draw(sampler, context).targets) {
              assert.ok(!seen.has(target));
              seen.add(target);
            }
          assert.ok(length - 1 - seen.size < 2 * context, `${length} ${seen.size} ${context}`);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('createSampler fills int32 arrays as it fills int64 ones', () => {
  const options = { context: 16, batch: 2, seed: 'x' };
  const narrow = [new Int32Array(32), new Int32Array(32)] as const;
  createSampler(stream, options).fill(...narrow);
  const { tokens, targets } = draw(createSampler(stream, options), 32);
  assert.deepEqual([...narrow[0]].map(BigInt), tokens);
  assert.deepEqual([...narrow[1]].map(BigInt), targets);
});

test('createSampler never shows a held-out line of its shard', () => {
  const shard = createShard([documentOf('a', textOf('leak', 3_000))], { seed: 'leak' });
  const lines = (tokens: ArrayLike<number>): string[] =>
    Buffer.from(Uint8Array.from(tokens, (token) => (token < 256 ? token : 10)))
      .toString('utf8')
      .split('\n')
      .filter((line) => line.length > 20);
  const heldOut = lines(shard.heldOut.tokens);
  const sampler = createSampler(shard.training, { context: 4_096, batch: 1, seed: 'leak' });
  for (let i = 0; i < 3 * sampler.windows; i++) {
    const window = draw(sampler, 4_096).tokens.map(Number);
    const text = Buffer.from(Uint8Array.from(window, (token) => (token < 256 ? token : 10))).toString('utf8');
    for (const line of heldOut) assert.ok(!text.includes(`\n${line}\n`));
  }
});

test('createSampler refuses too little text, bad shapes and positions, arrays of another length', () => {
  const options = { context: 8, batch: 1, seed: 'x' };
  const short = createTokenStream([documentOf('a', '123456')]);
  assert.equal(
    errorCode(() => createSampler(short, options)),
    'too-little-text',
  );
  assert.equal(
    errorCode(() => createSampler(short, { ...options, context: 7 })),
    'none',
  );
  assert.equal(
    errorCode(() => createSampler(short, { ...options, context: 0 })),
    'bad-input',
  );
  assert.equal(
    errorCode(() => createSampler(stream, { ...options, batch: 1.5 })),
    'bad-input',
  );
  assert.equal(
    errorCode(() => createSampler(stream, { ...options, position: -1 })),
    'bad-input',
  );
  const sampler = createSampler(stream, options);
  assert.equal(
    errorCode(() => sampler.fill(new BigInt64Array(8), new BigInt64Array(9))),
    'bad-input',
  );
});
