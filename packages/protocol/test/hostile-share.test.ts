import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Cid,
  cidOfDigest,
  encodeCbor,
  encodeRunConfig,
  merkleProof,
  merkleRoot,
  runDigest,
  runIdOf,
  sha256,
} from '@murmuration/base';
import { checkShareProof } from '@murmuration/protocol';
import { certificateBody } from '../src/certificate.ts';
import { encodeHeader, genesisBlockId } from '../src/header.ts';
import { leafOf, type StatePart, stateLeafCount } from '../src/ledger-state.ts';
import { signedBytes } from '../src/signing.ts';
import { voteBody } from '../src/vote.ts';
import { createKey, createRun } from './harness.ts';

const { peer, components } = createKey(5);
const run = createRun([peer]);
const runId = runIdOf(run);
const digest = runDigest(runId);
const any = cidOfDigest(sha256(new Uint8Array(1)));

/** A step that the only founder has certified, whatever the state that it shows says. */
function stepOf(epoch: number, opened: Cid, shown: Readonly<Record<string, readonly [StatePart, unknown]>>) {
  const leaves = Array.from({ length: stateLeafCount }, (_, index) => encodeCbor(index));
  for (const [part, value] of Object.values(shown)) leaves[leafOf(part)] = encodeCbor([part, value]);
  const header = encodeHeader({
    ...{
      run: digest,
      epoch,
      view: 0,
      height: epoch + 1,
      parent: any,
      proposer: peer,
      list: any,
      listBytes: 1,
    },
    ...{ tensors: any, root: merkleRoot(leaves, sha256), changes: [] },
  });
  const id = cidOfDigest(sha256(header), 'dag-cbor');
  const vote = { epoch, opened, view: 0, choice: 'finalize', block: id } as const;
  const signature = components.sign(signedBytes('vote', voteBody(digest, { ...vote, voter: peer })));
  const certificate = { ...vote, signers: [0], signatures: [signature], rekeys: [] };
  const proofs = Object.entries(shown).map(([name, [part]]) => {
    const { path } = merkleProof(leaves, leafOf(part), sha256);
    return [name, { leaf: leaves[leafOf(part)], path }];
  });
  const step = { header, certificate: certificateBody(digest, certificate), ...Object.fromEntries(proofs) };
  return { id, bytes: encodeCbor(step) };
}

const member = { peer, renewed: 0, keySince: 0, since: 0, contributed: 0, voted: 0, tokens: 1 };

for (const key of [undefined, null, 7, [1], 'x'])
  test(`checkShareProof refuses members whose key is ${JSON.stringify(key)}, whoever certified them`, () => {
    const members = [key === undefined ? member : { ...member, key }];
    const first = stepOf(0, genesisBlockId(runId), {
      epoch: ['epoch', 1],
      members: ['members', members],
      voters: ['voters', [peer]],
    });
    const last = stepOf(1, first.id, { tokens: ['tokens', 1], peers: ['members', members] });
    const proof = encodeCbor({
      ...{ kind: 'murmuration/share', version: 1, run: encodeRunConfig(run), peer },
      ...{ epochs: [first.bytes], newest: last.bytes },
    });
    assert.throws(() => checkShareProof(proof, components), { code: 'bad-proof' });
  });
