import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Cid, cidOf } from '@murmuration/base';
import { type Block, createAudit } from '@murmuration/protocol';
import { hashBytes } from '@murmuration/store';
import { createPeer, type LedgerSource, openStoredLedger } from '../src/index.ts';
import { createReplay, type Replay } from '../src/replay.ts';
import { collectEvents, createTinyRun, loopback, type TinyRun } from './tiny-run.ts';

const rounds = 10;

describe('createReplay', () => {
  let tiny: TinyRun;
  let source: LedgerSource;
  const blocks: Block[] = [];

  before(async () => {
    tiny = await createTinyRun({ rounds });
    const { onEvent, until } = collectEvents();
    const peer = await createPeer(
      { config: { directory: tiny.store(0), data: [tiny.text], ...loopback } },
      { onEvent },
    );
    await until('ended');
    await peer.stop();
    source = await openStoredLedger(tiny.store(0));
    const audit = createAudit(source, { hash: hashBytes, verify: () => true });
    for await (const { bytes } of source.entries()) {
      const { audited } = audit.take(bytes);
      if (audited) blocks.push(audited.block);
    }
    assert.equal(blocks.length, rounds);
  });
  after(async () => {
    await source.close();
    tiny.remove();
  });

  const deltaOf = (height: number): Cid => blocks[height - 1]?.contributions[0]?.blob as Cid;
  /** The source with other answers for some blobs. */
  const withBlobs = (answers: ReadonlyMap<Cid, Uint8Array | undefined>): LedgerSource => ({
    ...source,
    blob: async (cid, bytesMax) => (answers.has(cid) ? answers.get(cid) : source.blob(cid, bytesMax)),
  });
  const started = async (from: LedgerSource): Promise<Replay> => {
    const replay = await createReplay(from);
    assert.ok(typeof replay === 'object', String(replay));
    return replay;
  };
  const problemsIn = async (replay: Replay, chain: readonly Block[]): Promise<(string | undefined)[]> => {
    const problems = [];
    for (const block of chain) problems.push(await replay.follow(block));
    return problems;
  };

  test('computes the parameters of every round', async () => {
    const replay = await started(source);
    assert.deepEqual(
      await problemsIn(replay, blocks),
      blocks.map(() => undefined),
    );
    assert.deepEqual(replay.ranges, [{ from: 1, to: rounds, base: 0 }]);
  });

  test('says which round has other parameters than its deltas give', async () => {
    const replay = await started(source);
    const forged = blocks.map((block) =>
      block.height === 7 ? { ...block, tensors: block.stateRoot && cidOf(block.stateRoot) } : block,
    );
    const problems = await problemsIn(replay, forged.slice(0, 7));
    assert.deepEqual(problems.slice(0, 6), new Array(6).fill(undefined));
    assert.match(problems[6] ?? '', /its deltas give the parameters bafk\w+, it says bafk/);
  });

  test('says which author sent another delta than it announced, or none', async () => {
    const other = await source.blob(deltaOf(2), 2 ** 20);
    const swapped = await started(withBlobs(new Map([[deltaOf(3), other]])));
    const author = blocks[2]?.contributions[0]?.author;
    assert.match(
      (await problemsIn(swapped, blocks.slice(0, 3)))[2] ?? '',
      new RegExp(`the delta of ${author}`),
    );
    const rubbish = await started(withBlobs(new Map([[deltaOf(3), new Uint8Array(40)]])));
    assert.match(
      (await problemsIn(rubbish, blocks.slice(0, 3)))[2] ?? '',
      new RegExp(`the delta of ${author}: `),
    );
    const norms = blocks.map((block) => ({
      ...block,
      execution: {
        ...block.execution,
        inputs: block.execution.inputs.map((input) => ({ ...input, norm: input.norm * 2 })),
      },
    }));
    assert.match(
      (await problemsIn(await started(source), norms.slice(0, 1)))[0] ?? '',
      /has the norm .* it announced/,
    );
  });

  test('goes on from the next snapshot that is kept where a delta is gone', async () => {
    const replay = await started(withBlobs(new Map([[deltaOf(3), undefined]])));
    assert.deepEqual(
      await problemsIn(replay, blocks),
      blocks.map(() => undefined),
    );
    const kept = await Promise.all(blocks.map(({ tensors }) => source.blob(tensors, 2 ** 20)));
    const base = kept.findIndex((bytes, index) => index >= 3 && bytes !== undefined) + 1;
    assert.equal(base % source.run.snapshotEvery, 0);
    assert.deepEqual(replay.ranges, [
      { from: 1, to: 2, base: 0 },
      { from: base + 1, to: rounds, base },
    ]);
  });

  test('knows nothing without the first parameters, and refuses others', async () => {
    const { graph } = source.run.model;
    const missing = [graph, ...blocks.map(({ tensors }) => tensors)];
    const blind = await started(withBlobs(new Map(missing.map((cid) => [cid, undefined]))));
    await problemsIn(blind, blocks);
    assert.deepEqual(blind.ranges, []);
    const run = { ...source.run, initial: { ...source.run.initial, tensors: graph } };
    assert.match(String(await createReplay({ ...source, run })), /the seed gives the parameters/);
  });
});
