import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { encodeCbor, nameBlob } from '@murmuration/base';
import { openStore, verifySignature } from '@murmuration/store';
import { fromString as bytesOf } from 'uint8arrays/from-string';
import { encodeCertificate } from '../../../protocol/src/certificate.ts';
import { signedBytes } from '../../../protocol/src/signing.ts';
import { encodeMessage, encodeSigned } from '../../../protocol/src/statement.ts';
import { type Choice, type Vote, voteBody } from '../../../protocol/src/vote.ts';
import { Witness } from '../../bench/chaos/witness.ts';

const directory = mkdtempSync(join(tmpdir(), 'murmuration-witness-'));
const identities = ['first', 'second', 'third'].map((name) => {
  const store = openStore({ directory: join(directory, name) });
  store.close();
  return store.identity;
});
const [identity] = identities as [(typeof identities)[number], ...typeof identities];
const run = new Uint8Array(32).fill(7);
const blockOf = (name: string): string => nameBlob(bytesOf(name)).cid.replace(/^bafkrei/, 'bafyrei');
const opened = blockOf('opening') as Vote['opened'];

const voteFor = (choice: Choice, block: string | undefined, view = 3, voter = identity): Vote => ({
  epoch: 1,
  opened,
  view,
  choice,
  block: block === undefined ? undefined : (blockOf(block) as Vote['block']),
  voter: voter.peer,
});
const signed = (vote: Vote, by = identity): Uint8Array =>
  encodeSigned('vote', voteBody(run, vote), (bytes) => by.sign(bytes));
const witness = (): Witness =>
  new Witness({ run, signers: identities.map(({ peer }) => peer), verify: verifySignature });

function certificateOf(choice: Choice, block: string | undefined, signers: readonly number[]): Uint8Array {
  const { voter: _, ...vote } = voteFor(choice, block);
  const signatures = signers.map((index) => {
    const by = identities[index] ?? identity;
    return by.sign(signedBytes('vote', voteBody(run, { ...vote, voter: by.peer })));
  });
  return encodeCertificate(run, { ...vote, signers, signatures, rekeys: [] });
}

describe('Witness', () => {
  after(() => rmSync(directory, { recursive: true, force: true }));

  test('finds nothing in what an honest voter signs, however often it is seen', () => {
    const ear = witness();
    for (const place of ['the wire', 'a folder'])
      for (const vote of [
        voteFor('notarize', 'a'),
        voteFor('finalize', 'a'),
        voteFor('notarize', 'b', 4),
        voteFor('skip', undefined, 4),
      ])
        ear.hearStatement(signed(vote), place);
    assert.deepEqual(ear.contradictions, []);
    assert.deepEqual(ear.counts, { votes: 4, proposals: 0, unverified: 0 });
  });

  test('finds a voter that notarizes two blocks in one view, one on the wire and one on disk', () => {
    const ear = witness();
    ear.hearMessage(encodeMessage([signed(voteFor('notarize', 'a'))]), 'the wire');
    ear.readRecord('vote/1/3/notarize', signed(voteFor('notarize', 'b')), 'a folder');
    assert.deepEqual(ear.contradictions, [
      {
        signer: identity.peer,
        epoch: 1,
        view: 3,
        first: 'another notarize seen at the wire',
        second: 'notarize seen at a folder',
      },
    ]);
  });

  test('finds skip and finalize in one view, in either order', () => {
    for (const order of [
      [voteFor('skip', undefined), voteFor('finalize', 'a')],
      [voteFor('finalize', 'a'), voteFor('skip', undefined)],
    ]) {
      const ear = witness();
      for (const vote of order) ear.hearStatement(signed(vote), 'the wire');
      assert.equal(ear.contradictions.length, 1);
    }
  });

  test('finds a vote that contradicts one inside a certificate, whatever index its signer has', () => {
    const ear = witness();
    ear.hearStatement(certificateOf('finalize', 'a', [1, 2]), 'the wire');
    assert.deepEqual(ear.counts, { votes: 2, proposals: 0, unverified: 0 });
    const second = identities[1] ?? identity;
    ear.hearStatement(signed(voteFor('finalize', 'b', 3, second), second), 'a folder');
    assert.deepEqual(
      ear.contradictions.map(({ signer }) => signer),
      [second.peer],
    );
  });

  test('holds nothing against a voter whose signature is forged', () => {
    const ear = witness();
    const forger = identities[1] ?? identity;
    ear.hearStatement(signed(voteFor('notarize', 'a')), 'the wire');
    ear.hearStatement(signed(voteFor('notarize', 'b'), forger), 'the wire');
    assert.deepEqual(ear.contradictions, []);
    assert.equal(ear.counts.unverified, 1);
  });

  test('reads no votes in records of another kind', () => {
    const ear = witness();
    ear.readRecord('contribution/0', encodeCbor(['anything']), 'a folder');
    assert.deepEqual(ear.counts, { votes: 0, proposals: 0, unverified: 0 });
  });
});
