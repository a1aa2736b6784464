import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cidOf } from '@murmuration/base';
import { exitOf, isKind, lineOf, murmur, runMurmur, startMurmur } from './murmur-process.ts';

const bounded = { timeout: 240_000 };

describe('murmur', () => {
  let directory = '';
  let store = '';
  let text = '';
  const children: ChildProcess[] = [];
  const tinyRun = [
    ...['--rounds', '4', '--steps', '2', '--batch', '2', '--context', '32'],
    ...['--width', '32', '--layers', '1', '--heads', '2'],
  ];
  const loopback = ['--listen', '/ip4/127.0.0.1/tcp/0', '--no-mdns', '--json'];

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'murmuration-cli-'));
    store = join(directory, 'founder');
    text = join(directory, 'text.txt');
    writeFileSync(
      text,
      Array.from({ length: 400 }, (_, line) => `line ${line} is a line of text`).join('\n'),
    );
  });
  after(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  test('without a command teaches what there is', async () => {
    const { stdout, stderr } = await runMurmur('--help');
    for (const command of [
      'demo',
      'init',
      'join',
      'start',
      'leave',
      'status',
      'log',
      'verify',
      'prove',
      'eval',
      'generate',
      'export',
    ])
      assert.match(stdout + stderr, new RegExp(`\\n  ${command} `));
  });

  test('ends quietly when its reader does', async () => {
    const { code, stderr } = await exitOf(
      spawn('sh', ['-c', `"${process.execPath}" "${murmur}" --help | true`]),
    );
    assert.deepEqual([code, stderr], [0, '']);
  });

  test('tells usage errors by exit code 2 and says what was expected', async () => {
    const unknown = await runMurmur('dance');
    assert.equal(unknown.code, 2);
    const threads = await runMurmur('start', '--threads', 'many');
    assert.equal(threads.code, 2);
    assert.match(threads.stderr, /expected a whole number from 1 to 256, got "many"/);
    const loss = await runMurmur('init', '--model', 'a.onnx', '--loss', 'frob');
    assert.equal(loss.code, 2);
    assert.match(loss.stderr, /--loss: expected output, cross-entropy, mse or bce, got "frob"/);
    const device = await runMurmur('start', '--device', 'abacus');
    assert.equal(device.code, 2);
    assert.match(device.stderr, /'abacus' is invalid.*auto, cpu, cuda, webgpu, dml, coreml/);
  });

  test('init refuses options that say nothing about what was chosen', async () => {
    const refused = [
      ['--model', 'a.onnx', '--width', '64'],
      ['--model', 'a.onnx', '--context', '64'],
      ['--decay-rounds', '5'],
      ['--quorum', 'byzantine', '--silent-after', '5'],
    ];
    for (const given of refused) {
      const { code, stderr } = await runMurmur('init', '--store', join(directory, 'refused'), ...given);
      assert.equal(code, 2, stderr);
      assert.match(stderr, new RegExp(`${given.at(-2)}: expected together with`));
    }
  });

  test('model check refuses a dimension of size 0', async () => {
    const { code, stderr } = await runMurmur('model', 'check', text, '--size', 'batch=0');
    assert.equal(code, 2);
    assert.match(stderr, /whole number from 1 to/);
  });

  test('join refuses a link that is none', async () => {
    const { code, stderr } = await runMurmur(
      'join',
      'https://example.org',
      '--store',
      join(directory, 'none'),
      '--data',
      text,
    );
    assert.equal(code, 1);
    assert.match(stderr, /run link: expected murmuration:/);
  });

  test('join looks for its data before it looks for the run', async () => {
    const missing = join(directory, 'no-such-text');
    const link = `murmuration://${cidOf(new Uint8Array())}`;
    const folder = join(directory, 'unentered');
    const { code, stderr } = await runMurmur('join', link, '--store', folder, '--data', missing);
    assert.equal(code, 2);
    assert.ok(stderr.includes(`found nothing at ${missing}`), stderr);
    assert.ok(!existsSync(folder));
  });

  test('init, start, status, log, eval, export and generate follow one run', bounded, async () => {
    const init = await runMurmur('init', '--store', store, '--json', ...tinyRun);
    assert.equal(init.code, 0, init.stderr);
    const { runId, link } = JSON.parse(init.stdout) as { runId: string; link: string };
    assert.ok(link.startsWith(`murmuration://${runId}`));
    const again = await runMurmur('init', '--store', store, ...tinyRun);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /belongs to run/);

    const peer = startMurmur(['start', '--store', store, '--data', text, ...loopback]);
    children.push(peer);
    const ended = await lineOf(peer, isKind('ended'));
    const inUse = await runMurmur('start', '--store', store, '--data', text, ...loopback);
    assert.equal(inUse.code, 1);
    assert.match(inUse.stderr, new RegExp(`in use by process ${peer.pid}`));
    const running = JSON.parse((await runMurmur('status', '--store', store, '--json')).stdout) as {
      pid: number;
      round: number;
    };
    assert.deepEqual([running.pid, running.round], [peer.pid, 4]);
    const started = performance.now();
    peer.kill('SIGINT');
    await new Promise((resolve) => peer.once('close', resolve));
    assert.ok(performance.now() - started < 10_000, 'Ctrl-C took too long');
    const { stdout } = await runMurmur('status', '--store', store);
    assert.match(stdout, /peer +12D3\S+ \(member\)\n[\s\S]*epoch +0\nmembers +1\n/);

    const log = await runMurmur('log', '--store', store, '--json');
    const rounds = log.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { height: number; stateRoot: string; contributions: unknown[] });
    assert.deepEqual(
      rounds.map(({ height }) => height),
      [1, 2, 3, 4],
    );
    assert.equal(rounds.at(-1)?.stateRoot, ended.stateRoot);
    assert.ok(rounds.every(({ contributions }) => contributions.length === 1));
    assert.match((await runMurmur('log', '--store', store)).stdout, /round 4 {2}root [0-9a-f]{16}/);

    const evaluated = await runMurmur('eval', '--store', store, '--data', text, '--all', '--json');
    const { bitsPerByte } = JSON.parse(evaluated.stdout) as { bitsPerByte: number };
    assert.ok(bitsPerByte > 0 && bitsPerByte < 9);

    const file = join(directory, 'model.onnx');
    assert.equal((await runMurmur('export', file, '--store', store)).code, 0);
    const options = ['--prompt', 'line ', '--bytes', '12', '--seed', 'x'];
    const fromFile = await runMurmur('generate', '--model', file, ...options);
    const fromStore = await runMurmur('generate', '--store', store, ...options);
    assert.equal(fromFile.code, 0, fromFile.stderr);
    assert.equal(fromFile.stdout, fromStore.stdout);
  });

  test('generate says what is wrong with a file that is no model', async () => {
    const { code, stderr } = await runMurmur('generate', '--model', text, '--prompt', 'x');
    assert.equal(code, 1);
    assert.match(stderr, /expected a model that `murmur export` wrote/);
  });

  test('invite puts a signed invitation into the link, and only for this run', bounded, async () => {
    const guest = JSON.parse(
      (await runMurmur('id', '--store', join(directory, 'guest'), '--json')).stdout,
    ) as {
      peer: string;
    };
    const status = JSON.parse((await runMurmur('status', '--store', store, '--json')).stdout) as {
      runId: string;
    };
    const block = cidOf(Uint8Array.of(1), 'dag-cbor');
    const invited = await runMurmur(
      'invite',
      guest.peer,
      '--link',
      `murmuration://${status.runId}?checkpoint=4.${block}`,
      '--store',
      store,
      '--json',
    );
    assert.equal(invited.code, 0, invited.stderr);
    const { link, signatures, needed } = JSON.parse(invited.stdout) as {
      link: string;
      signatures: number;
      needed: number;
    };
    assert.match(link, /invitation=/);
    assert.ok(link.endsWith(`checkpoint=4.${block}`), link);
    assert.deepEqual([signatures, needed], [1, 1]);
    const foreign = await runMurmur(
      'invite',
      guest.peer,
      '--link',
      link,
      '--store',
      join(directory, 'guest'),
    );
    assert.equal(foreign.code, 1);
  });

  test('start says which port is in use', bounded, async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const { code, stderr } = await runMurmur(
      'start',
      '--store',
      store,
      '--listen',
      `/ip4/127.0.0.1/tcp/${port}`,
      '--no-mdns',
    );
    server.close();
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`${port}`));
  });

  test('leave asks first, then deletes the folder', async () => {
    const asked = await runMurmur('leave', '--store', store);
    assert.equal(asked.code, 1);
    assert.ok(existsSync(store));
    const left = await runMurmur('leave', '--store', store, '--yes');
    assert.equal(left.code, 0, left.stderr);
    assert.ok(!existsSync(store));
    assert.equal((await runMurmur('leave', '--store', store, '--yes')).code, 1);
  });
});
