import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { plans } from '@murmuration/simulator';
import { murmur } from './murmur-process.ts';

const run = (...args: string[]) =>
  spawnSync(process.execPath, [murmur, 'simulate', ...args], { encoding: 'utf8', timeout: 180_000 });

test('murmur simulate --list names every scenario', () => {
  const { status, stdout } = run('--list');
  assert.equal(status, 0);
  for (const { name, about } of plans) assert.ok(stdout.includes(name) && stdout.includes(about), name);
  for (const line of stdout.split('\n')) assert.ok(line.length <= 100, line);
  assert.equal(run().stdout, stdout);
  assert.equal(run('--list', '--json').stdout.trim().split('\n').length, plans.length);
});

test('murmur simulate NAME draws the peers of a scenario and what came of it', () => {
  const { status, stdout } = run('dead-proposer', '--seed', '1');
  assert.equal(status, 0);
  for (const part of ['3 member', '† gone for good', '6 of 6 rounds certified', 'every guarantee held'])
    assert.ok(stdout.includes(part), part);
  for (const line of stdout.split('\n')) assert.ok(line.length <= 100, line);
  assert.notEqual(run('dead-proposer', '--seed', '2').stdout, stdout);
});

test('murmur simulate --json prints the outcome', () => {
  const { status, stdout } = run('calm', '--json');
  assert.equal(status, 0);
  const outcome = JSON.parse(stdout) as { problems: string[]; peers: { height: number }[] };
  assert.deepEqual(outcome.problems, []);
  assert.deepEqual(
    outcome.peers.map(({ height }) => height),
    [6, 6, 6, 6],
  );
});

test('murmur simulate takes JSON from the command line and from a file, and fails when something breaks', () => {
  const folder = mkdtempSync(join(tmpdir(), 'murmur-simulate-'));
  try {
    const changes = JSON.stringify({ seed: 'short', rounds: 3, limitMs: 500 });
    const file = join(folder, 'scenario.json');
    writeFileSync(file, changes);
    const inline = run(changes);
    assert.equal(inline.status, 1);
    assert.match(inline.stdout, /BROKEN G3: peer 0 has not ended/);
    assert.equal(run(file).stdout, inline.stdout);
    writeFileSync(file, '[]');
    assert.match(run(file).stderr, /^murmur: simulate: scenario: expected an object$/m);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('murmur simulate says what it expected, and runs nothing that it does not understand', () => {
  for (const [source, message] of [
    ['{"loss":"much"}', /^murmur: simulate: scenario: loss: expected number, got "much"$/m],
    ['{"rounds":1e9}', /scenario: rounds: .*<=10000, got 1000000000$/m],
    ['{"faults":[{"kind":"away","peer":7,"fromMs":1}]}', /faults\.0: expected a peer below 4, got 7$/m],
    ['nowhere', /expected the name of a scenario \(see --list\), or JSON, or a file with JSON/],
    ['{"los":1}', /expected keys among .*; got los/],
    ['{"loss":', /expected the name of a scenario/],
  ] as const) {
    const { status, stderr } = run(source);
    assert.equal(status, 2, stderr);
    assert.match(stderr, message);
  }
});
