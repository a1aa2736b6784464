import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { mutantCases, plans, runTask } from '@murmuration/simulator';

/** Seeds of each plan here; the suite has more. */
const seeds = 1;

test('plans have different names, and there are at least 25 with 10,000 nightly seeds', () => {
  assert.equal(new Set(plans.map(({ name }) => name)).size, plans.length);
  assert.ok(plans.length >= 25);
  const nightly = plans.reduce((sum, plan) => sum + plan.seeds.nightly, 0);
  assert.ok(nightly >= 10_000, `${nightly} seeds`);
});

for (const plan of plans.filter(({ seeds: { sample } }) => sample > 0))
  test(`simulate keeps G1 to G8: ${plan.about}`, () => {
    for (let seed = 0; seed < Math.min(seeds, plan.seeds.sample); seed++) {
      const { problems } = runTask({ kind: 'seed', name: plan.name, seed });
      assert.deepEqual(problems, [], `murmur simulate ${plan.name} --seed ${seed}`);
    }
  });

test('README.md lists every scenario, and every broken build with its seed', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  for (const { name, about } of plans) assert.ok(readme.includes(`| \`${name}\` | ${about} |`), name);
  for (const { mutant, plan, seed } of mutantCases)
    assert.match(
      readme,
      new RegExp(`\\| ${mutant.name} \\| ${mutant.breaks} \\| .* \\| \`${plan}\` seed ${seed} \\|`),
    );
});
