import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPeer, createRun, freshNonce, type Peer, storeRun, textModel } from '@murmuration/peer';
import { openStore } from '@murmuration/store';
import { type Exit, runMurmur } from './murmur-process.ts';

const bounded = { timeout: 240_000 };
const directory = mkdtempSync(join(tmpdir(), 'murmuration-recover-'));
const folder = (index: number): string => join(directory, `founder-${index}`);
const text = join(directory, 'text.txt');

/** Runs a command, and reads what it prints line by line. */
async function run(...args: string[]): Promise<Exit & { lines: string[] }> {
  const exit = await runMurmur(...args);
  return { ...exit, lines: exit.stdout.split('\n') };
}

/** Folders of four founders of a byzantine run, which certifies with three of them. */
async function found(): Promise<string[]> {
  writeFileSync(text, Array.from({ length: 400 }, (_, line) => `line ${line} is a line of text`).join('\n'));
  const stores = [0, 1, 2, 3].map((index) => openStore({ directory: folder(index) }));
  const founders = stores.map(({ identity }) => identity.peer);
  const created = createRun({
    ...{ name: 'reopened', nonce: freshNonce(), founders, quorum: 'byzantine' as const },
    ...{ rounds: 5_000, steps: 100, overlapSteps: 2, batch: 2, graceMs: 1_000, viewTimeoutMs: 2_000 },
    model: textModel({ vocabulary: 260, context: 32, width: 32, layers: 1, heads: 2 }),
  });
  for (const store of stores) {
    store.bindRun(created.runId);
    await storeRun(store, created);
    store.close();
  }
  return founders;
}

describe('murmur recover with peers that run', () => {
  const running = new Set<Peer>();
  after(async () => {
    await Promise.all([...running].map((peer) => peer.stop()));
    rmSync(directory, { recursive: true, force: true });
  });
  const start = async (index: number, ...known: readonly Peer[]): Promise<Peer> => {
    const bootstrap = known.flatMap((peer) => peer.addresses());
    const network = { listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false, bootstrap };
    const peer = await createPeer({
      config: { directory: folder(index), data: [text], threads: 1, ...network },
    });
    running.add(peer);
    return peer;
  };
  const stopAll = async (): Promise<void> => {
    await Promise.all([...running].map((peer) => peer.stop()));
    running.clear();
  };

  test(
    'three of four founders reopen a run without two members: it goes on, and log and verify say so',
    bounded,
    async ({ signal }) => {
      const founders = await found();
      const until = async (condition: () => boolean): Promise<void> => {
        while (!condition()) await sleep(50, undefined, { signal });
      };
      const roundsOf = (): number[] =>
        [0, 1, 2].map((index) => {
          const store = openStore({ directory: folder(index), readOnly: true });
          const height = store.lastHeight() ?? 0;
          store.close();
          return height;
        });
      const certifyTogether = async (after: number): Promise<number> => {
        for (let heights = [0, 1]; new Set(heights).size > 1; heights = roundsOf()) {
          const first = await start(0);
          const three = [first, await start(1, first), await start(2, first)];
          await until(() => three.every((peer) => peer.status().round > after));
          await stopAll();
        }
        return roundsOf()[0] as number;
      };
      const keep = founders.slice(0, 2).flatMap((peer) => ['--keep', peer]);
      const early = await certifyTogether(0);
      const overtaken = await run('recover', '--store', folder(2), '--yes', ...keep);
      assert.match(overtaken.stderr, /1 of 3 founders have signed/);
      const round = await certifyTogether(early);
      const late = await run('recover', '--store', folder(1), '--yes', overtaken.lines[0] ?? '');
      assert.match(late.stderr, /the run has gone on since, make a new opening/);

      const one = await run('recover', '--store', folder(2), '--yes', ...keep);
      assert.equal(one.code, 0, one.stderr);
      assert.match(one.stderr, new RegExp(`reopens the run after round ${round}[\\s\\S]*reset of trust`));
      assert.match(one.stderr, new RegExp(`has signed an opening after round ${early} before`));
      assert.match(one.stderr, /1 of 3 founders have signed/);
      const [opening = ''] = one.lines;
      const behind = await run('recover', '--store', folder(3), '--yes', opening);
      assert.equal(behind.code, 1, 'a founder whose ledger is elsewhere signs nothing');
      assert.match(behind.stderr, /newest certified one is/);
      const two = await run('recover', '--store', folder(1), '--yes', opening);
      const last = await run('recover', '--store', folder(0), '--yes', two.lines[0] ?? '');
      assert.match(last.stderr, /complete: start this peer/);

      const first = await start(0);
      const second = await start(1, first);
      await until(() => [first, second].every((peer) => peer.status().round >= round + 2));
      const third = await start(2, first);
      await until(() => third.status().round >= round + 2);
      assert.deepEqual(
        [first, third].map((peer) => peer.status().role),
        ['member', 'guest'],
      );
      await stopAll();

      const short = founders.slice(0, 3).map((peer) => `…${peer.slice(-8)}`);
      const log = await run('log', '--store', folder(2));
      assert.equal(log.code, 0, log.stderr);
      const said = log.lines.filter((line) => line.includes('reopened'));
      assert.equal(said.length, 1);
      assert.match(said[0] ?? '', new RegExp(`after round ${round} by the founders .*a reset of trust`));
      for (const name of short) assert.ok(said[0]?.includes(name), name);
      const verdict = await run('verify', '--store', folder(0), '--json');
      assert.equal(verdict.code, 0, verdict.stderr);
      const { follows, members, openings } = JSON.parse(verdict.lines.join('')) as {
        follows: boolean;
        members: string[];
        openings: { height: number; authority: string; listed: string[] }[];
      };
      assert.deepEqual([follows, members], [true, founders.slice(0, 2)]);
      assert.deepEqual(
        openings.map(({ height, authority }) => [height, authority]),
        [[round, 'founders']],
      );
      assert.match((await run('verify', '--store', folder(2))).lines.join('\n'), /reopened +after round/);
    },
  );
});
