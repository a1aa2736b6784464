import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isKind, lineOf, runMurmur, startMurmur } from './murmur-process.ts';

const bounded = { timeout: 240_000 };

describe('murmur leave', () => {
  let directory = '';
  let text = '';
  const children: ChildProcess[] = [];
  const tinyRun = [
    ...['--rounds', '100000', '--steps', '2', '--batch', '2', '--context', '32'],
    ...['--width', '32', '--layers', '1', '--heads', '2', '--grace', '1', '--view-timeout', '2'],
  ];
  const loopback = ['--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns', '--json'];
  const folder = (name: string): string => join(directory, name);
  const idOf = async (store: string): Promise<string> =>
    (JSON.parse((await runMurmur('id', '--store', store, '--json')).stdout) as { peer: string }).peer;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'murmuration-leave-'));
    text = folder('text.txt');
    writeFileSync(text, Array.from({ length: 200 }, (_, line) => `line ${line} of a text`).join('\n'));
  });
  after(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  test('waits until the others have retired the member, and these go on without it', bounded, async () => {
    const [stays, leaves] = [folder('stays'), folder('leaves')];
    const founder = await idOf(leaves);
    const init = await runMurmur('init', '--store', stays, '--founder', founder, '--json', ...tinyRun);
    assert.equal(init.code, 0, init.stderr);
    const { link } = JSON.parse(init.stdout) as { link: string };
    const first = startMurmur(['start', '--store', stays, '--data', text, ...loopback]);
    children.push(first);
    const { addresses } = (await lineOf(first, isKind('listening'))) as { addresses: string[] };
    const peerLink = `${link}?peer=${addresses[0]}`;
    const second = startMurmur(['join', peerLink, '--store', leaves, '--data', text, ...loopback]);
    children.push(second);
    await lineOf(
      second,
      ({ kind, status }) => kind === 'status' && (status as { round: number; role: string }).round >= 2,
    );

    const retired = lineOf(first, isKind('retired'));
    const left = await runMurmur('leave', '--store', leaves, '--yes', '--wait', '60');
    assert.equal(left.code, 0, left.stderr);
    assert.match(left.stderr, /the others go on without/);
    assert.ok(!existsSync(leaves));
    const { peer, reason } = (await retired) as { peer: string; reason: string };
    assert.deepEqual([peer, reason], [founder, 'leave']);
    await lineOf(
      first,
      ({ kind, status: now }) => kind === 'status' && (now as { members: number }).members === 1,
    );
    await lineOf(first, isKind('certified'));
  });

  test(
    'deletes nothing when nobody is there to retire the member, and at once with --now',
    bounded,
    async () => {
      const stays = folder('stays');
      for (const child of children) child.kill('SIGKILL');
      const alone = folder('alone');
      const init = await runMurmur(
        'init',
        '--store',
        alone,
        '--founder',
        await idOf(stays),
        '--json',
        ...tinyRun,
      );
      assert.equal(init.code, 0, init.stderr);
      const peer = startMurmur(['start', '--store', alone, '--data', text, ...loopback]);
      children.push(peer);
      await lineOf(
        peer,
        ({ kind, status }) => kind === 'status' && (status as { role: string }).role === 'member',
      );
      const late = await runMurmur('leave', '--store', alone, '--yes', '--wait', '3');
      assert.equal(late.code, 1);
      assert.match(late.stderr, /no block retired this peer within 3 s \(1 of 2 members connected\)/);
      assert.ok(existsSync(join(alone, 'key')));
      const now = await runMurmur('leave', '--store', alone, '--yes', '--now');
      assert.equal(now.code, 0, now.stderr);
      assert.ok(!existsSync(alone));
    },
  );
});
