import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sha256 } from '@murmuration/base';
import { decodeStatement } from '../src/statement.ts';
import { wireFixture } from './wire-fixture.ts';

const fixture = JSON.parse(
  readFileSync(new URL('./fixtures/wire-1.json', import.meta.url), 'utf8'),
) as Record<string, string>;

test('wireFixture equals the bytes of protocol version 1', () => {
  assert.deepEqual(wireFixture(), fixture);
});

test('decodeStatement reads every statement of protocol version 1', () => {
  for (const name of [
    'contribution',
    'presence',
    'proposal',
    'notarize',
    'certificate',
    'leave',
    'rekey',
    'invitationStatement',
  ]) {
    const bytes = new Uint8Array(Buffer.from(fixture[name] as string, 'hex'));
    const { kind } = decodeStatement(bytes, sha256);
    assert.equal(kind, { notarize: 'vote', invitationStatement: 'invitation' }[name] ?? name);
  }
});
