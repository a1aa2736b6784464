import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { type Cid, createRandom, type FactError, nameBlob } from '@murmuration/base';
import { childOptions } from '../src/child-options.ts';
import type { Engine, ExecutionInput } from '../src/index.ts';
import { block, createSetting, executionOf, genesis, peer, startEngine, temporaryFolder } from './setting.ts';

const setting = createSetting();
const base = { base: genesis, baseHeight: 0 };

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};

async function endsWithin(pid: number, timeoutMs: number): Promise<boolean> {
  for (const endMs = performance.now() + timeoutMs; performance.now() < endMs; await setTimeout(20))
    if (!isAlive(pid)) return true;
  return false;
}

test('Engine whose child is killed rejects what is pending with engine-died and calls onExit', async (t) => {
  const exits: FactError<string>[] = [];
  const engine = await startEngine(t, setting, { onExit: (error) => exits.push(error) });
  await engine.open(genesis);
  const training = engine.train({ steps: 1_000_000, round: 0 });
  const evaluation = engine.evaluate();
  await engine.memory();
  process.kill(engine.pid, 'SIGKILL');
  await assert.rejects(training, { code: 'engine-died', name: 'EngineError' });
  await assert.rejects(evaluation, { code: 'engine-died' });
  await assert.rejects(engine.memory(), { code: 'engine-died' });
  assert.deepEqual(
    exits.map(({ code, facts }) => [code, facts.reason]),
    [['engine-died', 'SIGKILL']],
  );
  await engine.close();
});

test('Engine close ends the child, keeps what was done, and refuses later calls', async (t) => {
  const directory = temporaryFolder(t);
  let exits = 0;
  const engine = await startEngine(t, setting, { directory, onExit: () => exits++ });
  await engine.open(genesis);
  const training = engine.train({ steps: 1_000_000, round: 0 });
  await engine.memory();
  await Promise.all([engine.close(), engine.close()]);
  const { step } = await training;
  assert.equal(exits, 0);
  assert.ok(!isAlive(engine.pid));
  await assert.rejects(engine.memory(), { code: 'closed' });
  const again = await startEngine(t, setting, { directory });
  assert.equal((await again.open(genesis)).step, step);
});

test('Engine child ends at once when its parent is killed', async (t) => {
  const source = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  const script = `
    const { createSetting, french, genesis, peer } = await import(${source('./setting.ts')});
    const { createEngine } = await import(${source('../src/index.ts')});
    const directory = ${JSON.stringify(temporaryFolder(t))};
    const init = { ...createSetting(), self: peer(1), directory, data: [french], threads: 1, niceness: 5 };
    const engine = await createEngine(init);
    await engine.open(genesis);
    engine.train({ steps: 1_000_000, round: 0 });
    console.log(engine.pid);`;
  const parent = spawn(
    process.execPath,
    ['--conditions=murmuration-source', '--input-type=module', '-e', script],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  t.after(() => parent.kill('SIGKILL'));
  const [line] = await once(createInterface({ input: parent.stdout }), 'line', {
    signal: AbortSignal.timeout(20_000),
  });
  const pid = Number(line);
  assert.ok(isAlive(pid));
  const niceness = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[16]);
  assert.ok(niceness >= 5);
  parent.kill('SIGKILL');
  assert.ok(await endsWithin(pid, 3_000));
});

test('childOptions passes on what modules need, and no script, test or debugger', () => {
  const given = [
    '--conditions=a',
    '--test',
    '--inspect-port=0',
    '--input-type=module',
    '-e',
    'code',
    '--no-warnings',
  ];
  assert.deepEqual(childOptions(given), ['--conditions=a', '--no-warnings']);
});

test('Engine refuses the checkpoint of another run', async (t) => {
  const directory = temporaryFolder(t);
  const engine = await startEngine(t, setting, { directory });
  await engine.open(genesis);
  await engine.close();
  const other = await startEngine(t, createSetting({ run: { nonce: '1'.repeat(32) } }), { directory });
  await assert.rejects(other.open(genesis), { code: 'foreign-checkpoint' });
});

test('Engine restored from its checkpoint can undo, and include the delta that was pending', async (t) => {
  const directory = temporaryFolder(t);
  const first = await startEngine(t, setting, { directory });
  const { tensors } = await first.open(genesis);
  await first.train({ steps: 4, round: 0 });
  const one = await first.encode(base);
  const block1 = executionOf(genesis, 1, [{ author: peer(1), delta: one }]);
  await first.apply(block('1'), block1.execution, block1.blobs, one.blob);
  await first.train({ steps: 4, round: 1 });
  const two = await first.encode({ base: block('1'), baseHeight: 1 });
  await first.close();
  const second = await startEngine(t, setting, { directory });
  const state = await second.open(genesis);
  assert.deepEqual(state.pending, { ...two, bytes: state.pending?.bytes });
  assert.deepEqual(Buffer.from(state.pending?.bytes ?? []), Buffer.from(two.bytes));
  assert.deepEqual(state.undoable, [{ block: block('1'), height: 1 }]);
  const block2 = executionOf(block('1'), 2, [{ author: peer(1), delta: two }]);
  await second.apply(block('2'), block2.execution, block2.blobs, two.blob);
  await second.undo(block('2'));
  await second.undo(block('1'));
  assert.equal((await second.snapshot()).tensors, tensors);
});

interface Ledger {
  readonly blocks: { name: Cid; execution: ExecutionInput; blobs: Map<Cid, Uint8Array>; tensors: Cid }[];
}

/** Trains, contributes and applies its own blocks until the engine dies. */
async function live(engine: Engine, ledger: Ledger, encoded: Map<Cid, number>): Promise<void> {
  for (;;) {
    const parent = ledger.blocks.at(-1)?.name ?? genesis;
    const height = ledger.blocks.length + 1;
    await engine.train({ steps: 2, round: height });
    const delta = await engine.encode({ base: parent, baseHeight: height - 1 });
    encoded.set(delta.blob, height);
    const { execution, blobs } = executionOf(parent, height, [{ author: peer(1), delta }]);
    const tensors = await engine.execute(execution, blobs);
    ledger.blocks.push({ name: block(`${height}`), execution, blobs, tensors });
    await engine.apply(block(`${height}`), execution, blobs, delta.blob);
    if (height % 2 === 0) await engine.settle(block(`${height}`));
  }
}

test('Engine killed at any moment reopens in a state of its ledger and catches up', {
  timeout: 60_000,
}, async (t) => {
  const directory = temporaryFolder(t);
  const random = createRandom('kill');
  const ledger: Ledger = { blocks: [] };
  const encoded = new Map<Cid, number>();
  for (let life = 0; life < 8; life++) {
    const engine = await startEngine(t, setting, { directory });
    const { head, tensors, pending } = await engine.open(genesis);
    const expected =
      head.height === 0 ? setting.run.initial.tensors : ledger.blocks[head.height - 1]?.tensors;
    assert.equal(tensors, expected, `life ${life}, height ${head.height}`);
    assert.ok(head.height >= ledger.blocks.length - 1);
    if (pending) assert.equal(nameBlob(pending.bytes).cid, pending.blob);
    for (const { name, execution, blobs } of ledger.blocks.slice(head.height)) {
      const own = execution.inputs[0]?.blob;
      assert.equal(own, pending?.blob);
      await engine.apply(name, execution, blobs, own);
    }
    if (pending && !encoded.has(pending.blob)) await engine.expire(pending.blob);
    else if (pending && ledger.blocks.every(({ blobs }) => !blobs.has(pending.blob)))
      await engine.expire(pending.blob);
    assert.equal(
      (await engine.snapshot()).tensors,
      ledger.blocks.at(-1)?.tensors ?? setting.run.initial.tensors,
    );
    const timer = setTimeout(20 + random.below(250)).then(() => process.kill(engine.pid, 'SIGKILL'));
    await assert.rejects(live(engine, ledger, encoded), { code: 'engine-died' });
    await timer;
  }
  assert.ok(ledger.blocks.length > 8, `${ledger.blocks.length} blocks`);
});
