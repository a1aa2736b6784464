import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import {
  type Cid,
  decodeRunConfig,
  type PeerId,
  type RunConfig,
  runDigest,
} from '../packages/base/src/index.ts';
import { formatRunLink } from '../packages/cli/src/run-link.ts';
import { runMurmur } from '../packages/cli/test/murmur-process.ts';
import { createPeer, type Peer } from '../packages/peer/src/index.ts';
import { collectEvents, createTinyRun, loopback, type TinyRun } from '../packages/peer/test/tiny-run.ts';
import { createWalk } from '../packages/protocol/src/audit.ts';
import { createInvitation, signInvitation } from '../packages/protocol/src/index.ts';
import { decodeEntry } from '../packages/protocol/src/ledger-entry.ts';
import { stateRootOf } from '../packages/protocol/src/ledger-state.ts';
import type { Key } from '../packages/protocol/test/harness.ts';
import { forgeEntry } from '../packages/protocol/test/ledgers.ts';
import { hashBytes, openStore, verifySignature } from '../packages/store/src/index.ts';

const bounded = { timeout: 240_000 };
const rounds = 14;

const jsonOf = async <T>(...args: string[]): Promise<T> => {
  const { stdout, stderr } = await runMurmur(...args, '--json');
  assert.ok(stdout.startsWith('{'), stderr);
  return JSON.parse(stdout) as T;
};

interface Verdict {
  readonly run: string;
  readonly follows: boolean;
  readonly height: number;
  readonly stateRoot: string;
  readonly epoch: number;
  readonly replayed: unknown;
  readonly fault: { readonly height: number; readonly reason: string } | null;
}

describe('the ledger of a run of three real peers, one of them invited on the way', () => {
  let tiny: TinyRun;
  let archive: Peer;
  let settings: RunConfig;
  let runId: Cid;
  const keys: Key[] = [];
  const peers: Peer[] = [];
  let copies = 0;

  before(async () => {
    tiny = await createTinyRun({ founders: 2, rounds });
    runId = tiny.runId;
    const guest = join(tiny.directory, 'guest');
    openStore({ directory: guest }).close();
    for (const directory of [tiny.store(0), tiny.store(1), guest]) {
      const { identity } = openStore({ directory, readOnly: true });
      const sign = (bytes: Uint8Array): Uint8Array => identity.sign(bytes);
      keys.push({ peer: identity.peer, components: { hash: hashBytes, sign, verify: verifySignature } });
    }
    const [founder, , newcomer] = keys as [Key, Key, Key];
    const terms = { runId, guest: newcomer.peer, role: 'member' as const, expires: rounds, uses: 1 };
    const invitation = signInvitation(createInvitation(terms), founder.peer, founder.components.sign);
    const events = [collectEvents(), collectEvents(), collectEvents()] as const;
    const common = { data: [tiny.text], ...loopback };
    archive = await createPeer({ config: { directory: tiny.store(0), archive: true, ...common } }, events[0]);
    const bootstrap = archive.addresses();
    peers.push(archive);
    peers.push(await createPeer({ config: { directory: tiny.store(1), bootstrap, ...common } }, events[1]));
    const config = { directory: guest, bootstrap, ...common };
    peers.push(await createPeer({ runId, config, invitation }, events[2]));
    await Promise.all(events.map(({ until }) => until('ended')));
    await Promise.all(peers.slice(1).map((peer) => peer.stop()));
    const store = openStore({ directory: tiny.store(0), readOnly: true });
    settings = decodeRunConfig((await store.getBlob(runId)) as Uint8Array);
    store.close();
  }, bounded);
  after(async () => {
    await Promise.all(peers.map((peer) => peer.stop()));
    tiny.remove();
  });

  /** A copy of a peer's folder whose ledger somebody has touched. */
  const tampered = (touch: (database: DatabaseSync) => void): string => {
    const directory = join(tiny.directory, `copy-${copies++}`);
    cpSync(tiny.store(1), directory, { recursive: true });
    const database = new DatabaseSync(join(directory, 'ledger.sqlite'));
    touch(database);
    database.close();
    return directory;
  };
  const entryIn = (database: DatabaseSync, height: number): Uint8Array =>
    database.prepare('SELECT bytes FROM entries WHERE height = ?').get(height)?.bytes as Uint8Array;
  const put = (database: DatabaseSync, height: number, bytes: Uint8Array): void =>
    void database.prepare('UPDATE entries SET bytes = ? WHERE height = ?').run(bytes, height);
  const faultOf = async (directory: string): Promise<Verdict['fault']> => {
    const { code, stdout } = await runMurmur('verify', '--store', directory, '--json');
    assert.equal(code, 1);
    return (JSON.parse(stdout) as Verdict).fault;
  };

  test('is verified by murmur verify, own or downloaded, while its peer runs', bounded, async () => {
    const link = formatRunLink({ runId, peers: archive.addresses() });
    const { stateRoot, epoch } = archive.status();
    assert.equal(epoch, 1, 'the guest was never admitted');
    const expected = { run: runId, follows: true, height: rounds, stateRoot, epoch, fault: null };
    for (const where of [
      ['--store', tiny.store(0)],
      ['--store', tiny.store(1)],
      ['--from', link, '--no-mdns'],
    ]) {
      const verdict = await jsonOf<Verdict>('verify', ...where);
      const { run: id, follows, height, stateRoot: root, epoch: last, fault } = verdict;
      assert.deepEqual({ run: id, follows, height, stateRoot: root, epoch: last, fault }, expected);
      assert.deepEqual(verdict.replayed, [{ from: 1, to: rounds, base: 0 }]);
    }
    const status = await runMurmur('status', '--store', tiny.store(0));
    assert.match(status.stdout, /blobs +[\d.]+ kB, all are kept \(archive\)/);
    const { code, stdout } = await runMurmur('verify', '--store', tiny.store(0));
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`all ${rounds} blocks follow; state root ${stateRoot}`));
  });

  test('shows murmur verify the height of a changed byte', bounded, async () => {
    const height = 5;
    for (const part of [0.1, 0.5, 0.9]) {
      const directory = tampered((database) => {
        const entry = Uint8Array.from(entryIn(database, height));
        const at = Math.floor(part * entry.length);
        entry[at] = (entry[at] as number) ^ 1;
        put(database, height, entry);
      });
      assert.equal((await faultOf(directory))?.height, height);
    }
  });

  test('shows murmur verify the height of a missing block', bounded, async () => {
    const directory = tampered((database) => database.exec('DELETE FROM entries WHERE height = 9'));
    assert.deepEqual(await faultOf(directory), { height: 9, reason: 'expected block 9, found block 10' });
    const headless = tampered((database) => database.exec('DELETE FROM entries WHERE height < 3'));
    assert.deepEqual(await faultOf(headless), { height: 1, reason: 'expected block 1, found block 3' });
  });

  test('shows murmur verify the height of a block that somebody forged and signed', bounded, async () => {
    let forged = 0;
    const directory = tampered((database) => {
      const { walk, entry, height } = beforeCertified(database, 6);
      forged = height;
      const { voters } = walk.tip.state;
      const thief = [voters.indexOf(keys[1]?.peer as PeerId)];
      put(
        database,
        height,
        forgeEntry({ runId, keys }, entry, thief, { proposer: keys[1]?.peer as PeerId }, voters),
      );
    });
    const fault = await faultOf(directory);
    assert.match(fault?.reason ?? '', /certificate with 1 signatures, expected 2/);
    assert.equal(fault?.height, forged);
  });

  test(
    'shows murmur verify a block that a quorum signed and whose parameters its deltas do not give',
    bounded,
    async () => {
      const directory = tampered((database) => {
        const { walk, entry } = beforeCertified(database, rounds);
        const { voters } = walk.tip.state;
        const step = walk.take(entry);
        assert.ok(!step.fault, step.fault?.reason);
        const tensors = settings.initial.tensors;
        const root = stateRootOf(tensors, step.record.state, hashBytes);
        const all = voters.map((_, index) => index);
        put(database, rounds, forgeEntry({ runId, keys }, entry, all, { tensors, root }, voters));
      });
      const fault = await faultOf(directory);
      assert.equal(fault?.height, rounds);
      assert.match(fault?.reason ?? '', /its deltas give the parameters/);
      const { height, stateRoot } = await jsonOf<Verdict>('verify', '--store', directory);
      assert.ok(height < rounds && stateRoot !== archive.status().stateRoot);
      const blind = await runMurmur('verify', '--store', directory, '--no-parameters');
      assert.equal(blind.code, 0, 'the signatures alone hold');
    },
  );

  /** The ledger up to the first block at or above a height that has a certificate of its own. */
  function beforeCertified(database: DatabaseSync, from: number) {
    const walk = createWalk({ run: settings, runId }, { hash: hashBytes, verify: () => true });
    for (let height = 1; ; height++) {
      const entry = entryIn(database, height);
      const { certificate } = decodeEntry(entry, runDigest(runId), hashBytes);
      if (height >= from && certificate) return { walk, entry, height };
      walk.take(entry);
    }
  }

  test('is told by murmur log, round by round and peer by peer', bounded, async () => {
    const { stdout } = await runMurmur('log', '--store', tiny.store(0), '--json', '--from', '3', '--to', '6');
    const told = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as LoggedRound);
    assert.deepEqual(
      told.map(({ height }) => height),
      [3, 4, 5, 6],
    );
    for (const { contributions } of told) {
      const shares = contributions.reduce((sum, { share }) => sum + share, 0);
      assert.ok(Math.abs(shares - 1) < 1e-9 || contributions.length === 0);
      for (const { clip, weight } of contributions) assert.ok(clip > 0 && clip <= 1 && weight > 0);
    }
    const all = await runMurmur('log', '--store', tiny.store(0), '--summary', '--json');
    const summary = all.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { peer: PeerId; tokens: number; tokensShare: number });
    assert.deepEqual(new Set(summary.map(({ peer }) => peer)), new Set(keys.map(({ peer }) => peer)));
    assert.ok(Math.abs(summary.reduce((sum, { tokensShare }) => sum + tokensShare, 0) - 1) < 1e-9);
    const newcomer = (keys[2] as Key).peer;
    const own = await runMurmur('log', '--store', tiny.store(0), '--peer', newcomer.slice(-8));
    assert.match(
      own.stdout,
      new RegExp(`…${newcomer.slice(-8)}  was invited\\n    epoch 1 begins: 3 members, 3 of them vote`),
    );
    assert.ok(!own.stdout.includes(`…${(keys[1] as Key).peer.slice(-8)}  `), 'another peer is in it');
  });

  test('gives murmur prove a file that a third party checks alone', bounded, async () => {
    const newcomer = (keys[2] as Key).peer;
    const file = join(tiny.directory, 'share.proof');
    const proved = await jsonOf<Share>('prove', '--store', tiny.store(0), '--peer', newcomer, '--out', file);
    const all = await runMurmur('log', '--store', tiny.store(0), '--summary', '--json');
    const own = all.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { peer: PeerId; tokens: number })
      .find(({ peer }) => peer === newcomer);
    assert.equal(proved.tokens, own?.tokens);
    const link = formatRunLink({ runId, peers: [] });
    const share = await jsonOf<Share>('verify', '--proof', file, '--from', link);
    assert.deepEqual(
      [share.peer, share.tokens, share.height, share.stateRoot, share.standing],
      [newcomer, own?.tokens, rounds, archive.status().stateRoot, 'member'],
    );
    const other = await runMurmur(
      'verify',
      '--proof',
      file,
      '--from',
      link.replace(runId, settings.model.graph),
    );
    assert.notEqual(other.code, 0);
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
    writeFileSync(file, bytes);
    const { code, stderr } = await runMurmur('verify', '--proof', file);
    assert.equal(code, 1);
    assert.match(stderr, /^murmur: share proof: /);
  });
});

interface LoggedRound {
  readonly height: number;
  readonly contributions: readonly {
    readonly share: number;
    readonly clip: number;
    readonly weight: number;
  }[];
}

interface Share {
  readonly peer: PeerId;
  readonly standing: string;
  readonly tokens: number;
  readonly height: number;
  readonly stateRoot: string;
}
