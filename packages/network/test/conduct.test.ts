import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MiB } from '@murmuration/base';
import { Conduct } from '../src/conduct.ts';
import { defaultLimits, offencesMax, refusalMs } from '../src/defaults.ts';
import { Gate } from '../src/gate.ts';

test('Conduct.offend forgives a few offences, then refuses for a while', () => {
  let now = 1;
  const refused: string[] = [];
  const conduct = new Conduct(
    defaultLimits,
    (peer) => refused.push(peer),
    () => now,
  );
  for (let offence = 1; offence < offencesMax; offence++) conduct.offend('rogue');
  assert.equal(conduct.isRefused('rogue'), false);
  conduct.offend('rogue');
  conduct.offend('rogue');
  assert.deepEqual(refused, ['rogue']);
  assert.ok(conduct.isRefused('rogue') && !conduct.isRefused('other'));
  now += refusalMs + 1;
  assert.equal(conduct.isRefused('rogue'), false);
  conduct.offend('rogue');
  assert.equal(conduct.isRefused('rogue'), false);
});

test('Conduct.spend lets a burst pass and then a steady rate', () => {
  let now = 0;
  const limits = { ...defaultLimits, servedBytesPerSecond: MiB };
  const conduct = new Conduct(
    limits,
    () => undefined,
    () => now,
  );
  assert.equal(conduct.spend('peer', MiB), 0);
  assert.equal(conduct.spend('peer', MiB / 2), 500);
  assert.equal(conduct.spend('other', MiB), 0);
  now += 10_000;
  assert.equal(conduct.spend('peer', MiB), 0);
});

test('Gate.enter lets so many in per key, the next when one leaves, and none whose signal is aborted', async () => {
  const gate = new Gate(1);
  const never = new AbortController().signal;
  const leave = await gate.enter('key', never);
  await gate.enter('other', never);
  const aborted = assert.rejects(gate.enter('key', AbortSignal.timeout(5)), { code: 'aborted' });
  let second = false;
  const next = gate.enter('key', never).then((leaveSecond) => {
    second = true;
    leaveSecond();
  });
  await aborted;
  assert.equal(second, false);
  leave();
  await next;
  (await gate.enter('key', never))();
});
