import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { calm, draw, type Scenario, scenarioOf, simulate } from '@murmuration/simulator';

const scenario: Scenario = {
  ...calm,
  seed: 'drawing',
  members: 5,
  quorum: 'byzantine',
  guests: [{ atMs: 800 }],
  rounds: 8,
  faults: [
    { kind: 'away', peer: 2, fromMs: 2_000, untilMs: 4_000 },
    { kind: 'partition', side: [0, 3], fromMs: 5_000, untilMs: 6_000 },
    { kind: 'pause', peer: 4, fromMs: 1_000, untilMs: 3_000 },
  ],
  liars: [{ peer: 1, lies: [{ kind: 'withhold-votes', choices: ['finalize'] }] }],
};
const outcome = simulate(scenario, { isTraced: true });
/** Of `  2 member  `: what stands left of the drawing in each row. */
const labelWidth = '  2 member  '.length;

test('draw shows every peer, what it is, and what befell it', () => {
  const text = draw(outcome);
  for (const label of ['0 member', '1 liar', '4 member', '5 guest', 'cut 0,3', 'final height'])
    assert.ok(text.includes(label), label);
  const rowOf = (label: string): string =>
    text
      .split('\n')
      .filter((line) => line.startsWith(label))
      .map((line) => line.slice(labelWidth))
      .join('');
  assert.match(rowOf('  2 '), /x {3,}\^/);
  assert.match(rowOf('  4 '), /z~~~/);
  assert.match(rowOf('  0 '), /P/);
  assert.match(rowOf('final height'), /1 +2/);
  assert.match(rowOf('cut 0,3'), /──/);
});

test('draw keeps to the width', () => {
  for (const width of [60, 80, 100, 160])
    for (const line of draw(outcome, { width }).split('\n')) assert.ok(line.length <= width, line);
});

test('draw explains the signs that it used and no others', () => {
  const text = draw(outcome);
  assert.ok(text.includes('x stops') && text.includes('# block final'));
  assert.ok(!text.includes('gone for good'));
});

test('draw shortens a long run to a few panels', () => {
  const long = simulate({ ...calm, seed: 'long', rounds: 60 }, { isTraced: true });
  assert.ok(draw(long).split('\n').length < 60);
});

test('README.md shows what its command draws; npm run simulator-tables draws it anew', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, json = '', shown] = /```\n\$ murmur simulate '(.*)'\n([^`]*)\n```/.exec(readme) ?? [];
  assert.equal(shown, draw(simulate(scenarioOf(JSON.parse(json) as object), { isTraced: true })));
});
