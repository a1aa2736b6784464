import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { encodeRunConfig, exampleRun, type PeerId, parseRunConfig, runIdOf } from '@murmuration/base';
import { parseOpening, signaturesMissing } from '@murmuration/protocol';
import { openStore } from '@murmuration/store';
import { fromString } from 'uint8arrays/from-string';
import { type RecoveryPlan, recover } from '../src/recover.ts';

const directory = mkdtempSync(join(tmpdir(), 'murmur-recover-'));
after(() => rmSync(directory, { recursive: true }));
const folder = (index: number): string => join(directory, `founder-${index}`);

/** Folders of founders of one run that has certified nothing yet. */
async function foundRun(count: number) {
  const stores = Array.from({ length: count }, (_, index) => openStore({ directory: folder(index) }));
  const founders = stores.map(({ identity }) => identity.peer);
  const run = parseRunConfig({ ...exampleRun, quorum: 'byzantine', founders });
  for (const store of stores) {
    store.bindRun(runIdOf(run));
    await store.putBlob(runIdOf(run), encodeRunConfig(run));
    store.close();
  }
  return { run, founders: founders as PeerId[] };
}

const yes = () => Promise.resolve(true);

test('recover needs more than two thirds of the founders, one after another, and asks each', async () => {
  const { run, founders } = await foundRun(4);
  const plans: RecoveryPlan[] = [];
  const confirm = async (plan: RecoveryPlan) => plans.push(plan) > 0;
  const listed = founders.slice(0, 3);
  const first = await recover({ directory: folder(0), listed, confirm });
  const second = await recover({ directory: folder(1), opening: first.opening, confirm });
  assert.equal(second.isComplete, false);
  const third = await recover({ directory: folder(2), opening: second.opening, confirm });
  assert.equal(third.isComplete, true);
  assert.deepEqual(
    plans.map(({ signed, dropped, needed }) => [signed.length, dropped, needed]),
    [0, 1, 2].map((count) => [count, founders.slice(3), 3]),
  );
  const opening = parseOpening(fromString(third.opening, 'base64url'));
  assert.equal(signaturesMissing(opening, run), 0);
  const store = openStore({ directory: folder(2), readOnly: true });
  assert.deepEqual(store.getSetting('opening'), fromString(third.opening, 'base64url'));
  store.close();
});

test('recover signs no second opening of an epoch, and none without a yes', async () => {
  const listed = [openStore({ directory: folder(0), readOnly: true })].map((store) => {
    store.close();
    return store.identity.peer;
  });
  await assert.rejects(recover({ directory: folder(0), listed, confirm: yes }), /signed another opening/);
  const confirm = () => Promise.resolve(false);
  await assert.rejects(recover({ directory: folder(3), confirm }), /nothing was signed/);
  const store = openStore({ directory: folder(3), readOnly: true });
  assert.equal(store.getSetting('opening'), undefined);
  store.close();
  await assert.rejects(
    recover({ directory: folder(3), opening: 'rubbish', confirm: yes }),
    /expected an opening/,
  );
});
