import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  decodeCbor,
  encodeCbor,
  encodeRunConfig,
  type PeerId,
  parseRunConfig,
  runIdOf,
} from '@murmuration/base';
import { checkShareProof, createShareProver, ProtocolError } from '@murmuration/protocol';
import fc from 'fast-check';
import { createWalk } from '../src/audit.ts';
import { memberOf } from '../src/ledger-state.ts';
import { createKey, type Key } from './harness.ts';
import { changeEntry, checkedOnce, reopenLedger, writeLedger } from './ledgers.ts';

const ledger = writeLedger();
const { run, runId, entries, keys } = ledger;
const components = checkedOnce((keys[0] as Key).components);
const peers = keys.map(({ peer }) => peer) as [PeerId, PeerId, PeerId, PeerId, PeerId];

interface ProofValue {
  readonly run: Uint8Array;
  readonly epochs: readonly Uint8Array[];
  readonly newest: Uint8Array;
}

function prove(peer: PeerId, upTo = entries.length): Uint8Array {
  const prover = createShareProver({ run, runId }, components);
  for (const entry of entries.slice(0, upTo)) assert.equal(prover.take(entry), undefined);
  return prover.prove(peer);
}

const change = (proof: Uint8Array, changes: Record<string, unknown>): Uint8Array =>
  encodeCbor({ ...(decodeCbor(proof) as object), ...changes });

/** A step with one of its fields changed. */
const changeStep = (step: Uint8Array, key: string, edit: (value: never) => unknown): Uint8Array => {
  const value = decodeCbor(step) as Record<string, unknown>;
  return encodeCbor({ ...value, [key]: edit(value[key] as never) });
};

const changesAt = (height: number): number => {
  const walk = createWalk({ run, runId }, components);
  for (const entry of entries.slice(0, height)) walk.take(entry);
  return walk.tip.changes.length;
};

/** An opening that lacks its last signature. */
const changeStepIfOpening = (step: Uint8Array): Uint8Array => {
  const { opening, ...others } = decodeCbor(step) as { opening?: Uint8Array };
  if (!opening) return step;
  const value = decodeCbor(opening) as { signatures: readonly unknown[] };
  const signatures = value.signatures.slice(0, 2);
  return encodeCbor({ ...others, opening: encodeCbor({ ...value, signatures }) });
};

const refusal = (proof: Uint8Array): ProtocolError => {
  try {
    checkShareProof(proof, components);
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return error;
  }
  throw new Error('a forged proof was believed');
};

describe('checkShareProof', () => {
  test('says what the ledger says of every peer, at every height', () => {
    for (const upTo of [1, 6, 9, 11, entries.length]) {
      const walk = createWalk({ run, runId }, components);
      for (const entry of entries.slice(0, upTo)) walk.take(entry);
      const { block, state } = walk.final;
      for (const peer of peers) {
        const guest = state.guests.find((one) => one.peer === peer);
        const expected = memberOf(state, peer) ?? guest;
        if (!expected) continue;
        const share = checkShareProof(prove(peer, upTo), components);
        assert.deepEqual(share, {
          run,
          runId,
          peer,
          standing: guest ? 'guest' : 'member',
          tokens: expected.tokens,
          tokensOfAll: state.tokens,
          height: upTo,
          block: block.id,
          epoch: block.epoch,
          stateRoot: block.stateRoot,
        });
      }
    }
  });

  test('adds up: the shares of all peers are all tokens', () => {
    const shares = peers.map((peer) => checkShareProof(prove(peer), components));
    const sum = shares.reduce((tokens, share) => tokens + share.tokens, 0);
    assert.equal(sum, shares[0]?.tokensOfAll);
    assert.ok(shares.every(({ tokens }) => tokens > 0));
  });

  test('refuses every changed byte', () => {
    const proof = prove(peers[1]);
    fc.assert(
      fc.property(fc.nat(proof.length - 1), fc.nat(7), (at, bit) => {
        const bytes = Uint8Array.from(proof);
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        const error = refusal(bytes);
        assert.ok(['bad-proof', 'unknown-version'].includes(error.code), error.code);
      }),
      { numRuns: 300 },
    );
  });

  test('refuses to leave an epoch out, to take one twice, or those of another order', () => {
    const proof = prove(peers[0]);
    const { epochs } = decodeCbor(proof) as ProofValue;
    const [first, second] = epochs as [Uint8Array, Uint8Array];
    assert.equal(epochs.length, 2);
    for (const chosen of [[], [first], [second], [second, first], [first, first, second]])
      assert.equal(refusal(change(proof, { epochs: chosen })).code, 'bad-proof');
  });

  test('refuses tokens, voters and members that no root shows', () => {
    const proof = prove(peers[0]);
    const { newest, epochs } = decodeCbor(proof) as ProofValue;
    const more = ({ leaf, path }: { leaf: Uint8Array; path: readonly Uint8Array[] }) => {
      const [name, value] = decodeCbor(leaf) as [string, unknown];
      const changed = typeof value === 'number' ? value + 1 : (value as unknown[]).slice(1);
      return { leaf: encodeCbor([name, changed]), path };
    };
    for (const key of ['tokens', 'peers'])
      assert.match(
        refusal(change(proof, { newest: changeStep(newest, key, more) })).message,
        /state root does not show/,
      );
    for (const key of ['members', 'voters']) {
      const [first, ...others] = epochs;
      const forged = [changeStep(first as Uint8Array, key, more), ...others];
      assert.match(refusal(change(proof, { epochs: forged })).message, /state root does not show/);
    }
    const swapped = changeStep(newest, 'peers', () => (decodeCbor(newest) as { tokens: unknown }).tokens);
    assert.equal(refusal(change(proof, { newest: swapped })).code, 'bad-proof');
  });

  test('passes an epoch that the founders opened anew, where it began and where it did not', () => {
    const closing = entries.findIndex((_, index) => changesAt(index + 1) > 0) + 1;
    for (const fork of [0, 3, closing]) {
      const chain = reopenLedger(ledger, fork, [peers[0], peers[1]]);
      const prover = createShareProver({ run, runId }, components);
      for (const entry of chain) assert.equal(prover.take(entry), undefined);
      const walk = createWalk({ run, runId }, components);
      for (const entry of chain) assert.equal(walk.take(entry).fault, undefined);
      const share = checkShareProof(prover.prove(peers[0]), components);
      const { block, state } = walk.final;
      assert.deepEqual([share.height, share.stateRoot], [fork + 3, block.stateRoot]);
      assert.deepEqual([share.tokens, share.tokensOfAll], [memberOf(state, peers[0])?.tokens, state.tokens]);
      const { epochs } = decodeCbor(prover.prove(peers[0])) as ProofValue;
      const others = epochs.map((step) => changeStepIfOpening(step));
      assert.equal(refusal(change(prover.prove(peers[0]), { epochs: others })).code, 'bad-proof');
    }
  });

  test('counts votes by the new keys that an opening brings', () => {
    const renewed = new Map([[peers[0], createKey(70)]]);
    const listed = [peers[0], peers[1]];
    const chain = reopenLedger(ledger, 3, listed, run.founders, renewed);
    const prover = createShareProver({ run, runId }, components);
    for (const entry of chain) assert.equal(prover.take(entry), undefined);
    const walk = createWalk({ run, runId }, components);
    for (const entry of chain) assert.equal(walk.take(entry).fault, undefined);
    const share = checkShareProof(prover.prove(peers[0]), components);
    assert.deepEqual([share.height, share.stateRoot], [6, walk.final.block.stateRoot]);
    assert.equal(memberOf(walk.final.state, peers[0])?.key, createKey(70).peer);
  });

  test('refuses an epoch that too few founders opened', () => {
    const few = reopenLedger(ledger, 3, [peers[0], peers[1]], run.founders.slice(0, 2));
    const prover = createShareProver({ run, runId }, { ...components });
    const faults = few.map((entry) => prover.take(entry)).filter((fault) => fault !== undefined);
    assert.deepEqual(faults[0], { height: 4, reason: 'opening that lacks 1 signatures' });
  });

  test('refuses the share of a peer that the ledger does not know', () => {
    const stranger = createKey(99).peer;
    assert.match(refusal(change(prove(peers[0]), { peer: stranger })).message, /expected tokens of/);
    assert.throws(() => prove(stranger), { code: 'no-share' });
  });

  test('gives another run another id, under which no certificate holds', () => {
    const founders = [createKey(77).peer];
    const other = parseRunConfig({ ...run, founders, invitationSignatures: 1 });
    assert.notEqual(runIdOf(other), runId);
    assert.equal(refusal(change(prove(peers[0]), { run: encodeRunConfig(other) })).code, 'bad-proof');
  });

  test('says which version it wants', () => {
    const error = refusal(change(prove(peers[0]), { version: 2 }));
    assert.deepEqual([error.code, error.facts.version], ['unknown-version', 2]);
  });

  test('refuses arbitrary bytes, and what would unfold to more memory than it has bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        assert.equal(refusal(bytes).code, 'bad-proof');
      }),
    );
    const proof = prove(peers[0]);
    const bomb = Uint8Array.of(0x9a, 0x01, 0x00, 0x00, 0x00, ...new Uint8Array(100_000).fill(0x40));
    const before = process.memoryUsage().heapUsed;
    const million = new Uint8Array(16_777_221).fill(0x40);
    million.set(bomb.subarray(0, 5));
    assert.match(refusal(million).message, /more than \d+ values/);
    assert.match(
      refusal(change(proof, { newest: encodeCbor(new Array(500).fill(0)) })).message,
      /more than 256 values/,
    );
    assert.ok(process.memoryUsage().heapUsed - before < 50_000_000);
    assert.equal(refusal(new Uint8Array(64 * 2 ** 20 + 1)).code, 'too-long');
  });
});

describe('createShareProver', () => {
  test('says which block does not follow', () => {
    const prover = createShareProver({ run, runId }, components);
    prover.take(entries[0] as Uint8Array);
    const bare = changeEntry(entries[2] as Uint8Array, () => ({}));
    assert.deepEqual(prover.take(bare), { height: 2, reason: 'expected block 2, found block 3' });
  });

  test('proves up to the newest block with a certificate', () => {
    const prover = createShareProver({ run, runId }, components);
    for (const entry of entries.slice(0, -1)) prover.take(entry);
    prover.take(changeEntry(entries.at(-1) as Uint8Array, () => ({ certificate: null })));
    assert.equal(checkShareProof(prover.prove(peers[0]), components).height, entries.length - 1);
  });
});
