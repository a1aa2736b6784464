import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Fleet } from '../packages/cli/bench/chaos/fleet.ts';
import { playPartition, portsFor } from '../packages/cli/bench/chaos/partition.ts';
import { Lan, lanPort, whyNoNamespaces } from '../packages/cli/bench/namespaces/lan.ts';

const peers = 3;
const partitionMs = 20_000;
const reason = whyNoNamespaces();
if (reason) console.log(`skipping peers in network namespaces: ${reason}`);

const ownNamespaces = (): string[] =>
  execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.startsWith(`mm${process.pid}-`));

describe('three peers in network namespaces', { skip: reason ?? false }, () => {
  test('certify over bad links, through a partition and after it, and contradict nothing', {
    timeout: 240_000,
  }, async () => {
    const slow = { ports: [1], bitsPerSecond: 1_000_000 };
    const lan = await Lan.create({ ports: portsFor(peers), delayMs: 100, loss: 0.05, slow, seed: '1' });
    let fleet: Fleet | undefined;
    try {
      fleet = await Fleet.create({
        directory: mkdtempSync(join(tmpdir(), 'murmuration-namespaces-')),
        peers,
        rounds: 10_000,
        graceMs: 2_000,
        viewTimeoutMs: 4_000,
        roundsPerMark: 1_000,
        listen: (index) => `/ip4/${lan.address(index)}/tcp/${lanPort}`,
        launcher: lan.launcher,
        onNews: () => undefined,
      });
      const onNews = (): void => undefined;
      const plan = { peers, roundsBefore: 2, partitionMs, roundsAfter: 2, onNews };
      const result = await playPartition(fleet, lan, plan);
      assert.ok(
        result.connectMs > 190,
        `a round trip takes 200 ms, a connection took ${result.connectMs} ms`,
      );
      assert.ok(result.before >= 2 && result.during.larger >= 1 && result.after >= 2, JSON.stringify(result));
      assert.ok(result.during.smaller <= 1, 'one peer of three certifies at most what was on its way');
      assert.equal(result.equalRoots, true);
      assert.deepEqual(result.lostRounds, []);
      assert.deepEqual(fleet.witness.contradictions, []);
      assert.equal(fleet.witness.counts.unverified, 0);
      assert.ok(fleet.witness.counts.votes >= 2 * result.height, JSON.stringify(fleet.witness.counts));
    } finally {
      await fleet?.stop();
      await lan.remove();
      fleet?.remove();
    }
    assert.deepEqual(ownNamespaces(), []);
  });

  test('Lan removes its namespaces after a failure too', async () => {
    const slow = { ports: [], bitsPerSecond: 1 };
    const init = { ports: 2, delayMs: 1, loss: 0, slow, seed: '1' };
    const first = await Lan.create(init);
    await assert.rejects(Lan.create(init), 'the same process cannot have the same names twice');
    await first.remove();
    assert.deepEqual(ownNamespaces(), []);
  });
});
