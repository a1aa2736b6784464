import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { openStore } from '@murmuration/store';
import { createPeer, openOffline, type Peer } from '../src/index.ts';
import { collectEvents, createTinyRun, loopback, type TinyRun } from './tiny-run.ts';

const bounded = { timeout: 240_000 };

/** A device that onnxruntime does not offer here. */
const missing = process.platform === 'win32' ? 'coreml' : 'dml';

describe('createPeer', () => {
  const runs: TinyRun[] = [];
  const peers: Peer[] = [];
  const tiny = async (options?: Parameters<typeof createTinyRun>[0]): Promise<TinyRun> => {
    const run = await createTinyRun(options);
    runs.push(run);
    return run;
  };
  const start = async (...args: Parameters<typeof createPeer>): Promise<Peer> => {
    const peer = await createPeer(...args);
    peers.push(peer);
    return peer;
  };
  after(async () => {
    await Promise.all(peers.map((peer) => peer.stop()));
    for (const run of runs) run.remove();
  });

  test(
    'of a single founder certifies every round and can be opened offline afterwards',
    bounded,
    async () => {
      const run = await tiny({ rounds: 5 });
      const { onEvent, until, events } = collectEvents();
      const peer = await start(
        { config: { directory: run.store(0), data: [run.text], ...loopback, device: missing } },
        { onEvent },
      );
      const opened = await until('opened');
      const ended = await until('ended');
      const { stateRoot, round, device, time } = peer.status();
      assert.deepEqual([device?.wish, device?.name], [missing, 'cpu']);
      assert.match(device?.reason ?? '', new RegExp(`onnxruntime has no ${missing} on this system`));
      assert.deepEqual(opened.kind === 'opened' && opened.device, device);
      assert.equal(ended.kind === 'ended' && ended.stateRoot, stateRoot);
      assert.equal(round, 5);
      assert.ok(time && time.trainingSeconds > 0 && time.callsSeconds > 0 && time.evaluationSeconds === 0);
      assert.ok(time.trainingSeconds + time.callsSeconds <= time.wallSeconds, JSON.stringify(time));
      assert.deepEqual(
        events.flatMap((event) => (event.kind === 'certified' ? [event.round] : [])),
        [1, 2, 3, 4, 5],
      );
      await peer.stop();
      const store = openStore({ directory: run.store(0), readOnly: true });
      const shares = store.metrics('utilisation');
      store.close();
      assert.deepEqual(
        shares.map(({ height }) => height),
        [1, 2, 3, 4, 5],
      );
      assert.ok(shares.every(({ value }) => value > 0 && value <= 1));
      const offline = await openOffline({ directory: run.store(0) });
      const { bitsPerByte } = await offline.engine.evaluate({ data: [run.text], part: 'all' });
      await offline.close();
      assert.ok(bitsPerByte !== undefined && bitsPerByte > 0 && bitsPerByte < 9, `${bitsPerByte}`);
    },
  );

  test('goes on from its store when its engine is killed', bounded, async () => {
    const run = await tiny({ rounds: 400 });
    const { onEvent, until, events } = collectEvents();
    await start({ config: { directory: run.store(0), data: [run.text], ...loopback } }, { onEvent });
    await until('certified');
    const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8')
      .trim()
      .split(' ');
    const engine = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('child'));
    process.kill(Number(engine), 'SIGKILL');
    const restarted = await until('engine-restarted');
    assert.match(restarted.kind === 'engine-restarted' ? restarted.reason : '', /SIGKILL/);
    const before = events.filter(({ kind }) => kind === 'certified').length;
    while (events.filter(({ kind }) => kind === 'certified').length < before + 3)
      await new Promise((resolve) => setTimeout(resolve, 50));
    const rounds = events.flatMap((event) => (event.kind === 'certified' ? [event.round] : []));
    assert.equal(new Set(rounds).size, Math.max(...rounds), 'a round is missing');
  });

  test('refuses settings that are off, and names the key', async () => {
    await assert.rejects(createPeer({ config: { directory: 'x', threads: 0 } }), {
      name: 'PeerError',
      code: 'bad-settings',
      message: /threads/,
    });
  });

  test('refuses a folder that belongs to no run', async () => {
    const run = await tiny();
    const folder = join(run.directory, 'keyed');
    openStore({ directory: folder }).close();
    await assert.rejects(createPeer({ config: { directory: folder, ...loopback } }), { code: 'no-run' });
  });

  test('makes no folder where there is none to go on from', async () => {
    const run = await tiny();
    const folder = join(run.directory, 'mistyped');
    await assert.rejects(createPeer({ config: { directory: folder, ...loopback } }), { name: 'StoreError' });
    assert.equal(existsSync(folder), false);
  });

  test('forgets settings that did not work', bounded, async () => {
    const run = await tiny();
    const config = { directory: run.store(0), data: [run.text], ...loopback };
    await assert.rejects(createPeer({ config: { ...config, listen: ['nowhere'] } }));
    const remembered = (): Uint8Array | undefined => {
      const store = openStore({ directory: run.store(0), readOnly: true });
      const setting = store.getSetting('peer-config');
      store.close();
      return setting;
    };
    assert.equal(remembered(), undefined);
    const { onEvent, until } = collectEvents();
    await start({ config }, { onEvent });
    await until('certified');
    assert.match(Buffer.from(remembered() ?? []).toString(), /127\.0\.0\.1/);
  });

  test('refuses a store of another run', async () => {
    const [run, other] = [await tiny(), await tiny()];
    await assert.rejects(
      createPeer({ runId: other.runId, config: { directory: run.store(0), ...loopback } }),
      {
        name: 'StoreError',
        code: 'other-run',
      },
    );
  });

  test('says which port is in use', async () => {
    const run = await tiny();
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    const listen = [`/ip4/127.0.0.1/tcp/${port}`];
    await assert.rejects(
      createPeer({ config: { ...loopback, directory: run.store(0), data: [run.text], listen } }),
      {
        code: 'port-in-use',
        message: new RegExp(String(port)),
      },
    );
    server.close();
    openStore({ directory: run.store(0) }).close();
  });

  for (const [what, path] of [
    ['missing', 'nowhere'],
    ['empty', 'empty'],
  ] as const)
    test(`ends with a clear error when the text folder is ${what}`, bounded, async () => {
      const run = await tiny();
      mkdirSync(join(run.directory, 'empty'));
      const data = [join(run.directory, path)];
      const peer = await start({ config: { directory: run.store(0), data, ...loopback } });
      await assert.rejects(peer.finished, { name: 'EngineError', message: new RegExp(path) });
    });
});
