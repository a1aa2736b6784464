import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PeerProcess } from '../packages/cli/src/demo/peer-process.ts';
import { formatRunLink, parseRunLink } from '../packages/cli/src/run-link.ts';
import { createRun, freshNonce, type PeerEvent, storeRun, textModel } from '../packages/peer/src/index.ts';
import { openStore } from '../packages/store/src/index.ts';

const names = ['first', 'second', 'third'] as const;
const rounds = 16;
const murmur = fileURLToPath(new URL('../packages/cli/bin/murmur.js', import.meta.url));

/** Text that a tiny model can learn something from, different for each peer. */
const textOf = (name: string): string =>
  Array.from(
    { length: 600 },
    (_, line) => `${name} says that line ${line} comes after line ${line - 1}, as lines do.`,
  ).join('\n');

describe('three peers as processes on loopback', () => {
  let directory = '';
  const peers: PeerProcess[] = [];
  const certified = new Map<string, number>();
  const waiters: { peer: string; round: number; resolve: () => void }[] = [];
  const crashed = Promise.withResolvers<never>();
  crashed.promise.catch(() => undefined);

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'murmuration-three-'));
  });
  after(async () => {
    await Promise.all(peers.map((peer) => peer.stop()));
    rmSync(directory, { recursive: true, force: true });
  });

  const options = (name: string): string[] => [
    ...['--store', join(directory, name), '--data', join(directory, `${name}.txt`)],
    ...['--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns', '--threads', '1'],
  ];
  const note = (name: string, event: PeerEvent): void => {
    if (event.kind === 'certified') certified.set(name, Math.max(certified.get(name) ?? 0, event.round));
    if (event.kind === 'ended') certified.set(name, rounds + 1);
    for (const waiter of waiters) if ((certified.get(waiter.peer) ?? 0) >= waiter.round) waiter.resolve();
  };
  const reach = (peer: string, round: number): Promise<void> =>
    Promise.race([
      crashed.promise,
      new Promise<void>((resolve) => {
        if ((certified.get(peer) ?? 0) >= round) resolve();
        waiters.push({ peer, round, resolve });
      }),
    ]);
  const create = (name: string, command: string[]): PeerProcess => {
    const peer = new PeerProcess({
      language: name,
      directory: join(directory, name),
      command,
      onEvent: (event) => note(name, event),
      onCrash: (error) => crashed.reject(error),
    });
    peers.push(peer);
    return peer;
  };

  test('certify every round, one joining late, one killed and restarted, and end with equal roots', {
    timeout: 240_000,
  }, async () => {
    for (const name of names) writeFileSync(join(directory, `${name}.txt`), textOf(name));
    const stores = names.map((name) => openStore({ directory: join(directory, name) }));
    const created = createRun({
      name: 'three',
      nonce: freshNonce(),
      founders: stores.map(({ identity }) => identity.peer),
      rounds,
      steps: 4,
      overlapSteps: 4,
      batch: 4,
      model: textModel({ vocabulary: 260, context: 32, width: 32, layers: 1, heads: 2 }),
      snapshotEvery: 4,
      graceMs: 1_000,
      viewTimeoutMs: 2_000,
    });
    const { runId } = created;
    for (const store of stores) store.bindRun(runId);
    if (stores[0]) await storeRun(stores[0], created);
    for (const store of stores) store.close();

    const address = await create('first', ['start', ...options('first')]).start();
    const link = formatRunLink({ runId, peers: [address] });
    const second = create('second', ['join', link, ...options('second')]);
    await second.start();
    await reach('first', 5);
    const late = create('third', ['join', link, ...options('third')]);
    await late.start();
    await reach('third', 6);
    await second.kill();
    const atKill = certified.get('first') ?? 0;
    await reach('first', Math.min(rounds, atKill + 3));
    await second.start(['start', ...options('second')]);
    await Promise.all(names.map((name) => reach(name, rounds + 1)));

    const roots = peers.map(({ endRoot }) => endRoot);
    assert.match(roots[0] ?? '', /^[0-9a-f]{64}$/);
    assert.deepEqual(new Set(roots).size, 1, `roots differ: ${roots.join(' ')}`);
    assert.equal(second.lives, 2);
    for (const { traffic } of peers) assert.ok(traffic.sent > 1_000 && traffic.received > 1_000);

    const status = ['status', '--checkpoint', '--store', join(directory, 'first')];
    const { stdout } = await promisify(execFile)(process.execPath, [murmur, ...status]);
    const { checkpoint, peers: found } = parseRunLink(stdout);
    assert.equal(checkpoint?.height, rounds);
    assert.ok(
      found.some((peer) => peer.endsWith(address.split('/').at(-1) ?? '')),
      stdout,
    );
  });
});
