/** Peers that nobody knows, and what they send. */
import assert from 'node:assert/strict';
import { encodeCbor, nameBlob, runDigest } from '@murmuration/base';
import { genesisBlockId, type Verdict } from '@murmuration/protocol';
import {
  contributionBody,
  encodeMessage,
  encodeSigned,
  type Presence,
  presenceBody,
} from '../src/statement.ts';
import { type Bus, type BusPeer, createKeyFrom, type Key } from './harness.ts';

let identities = 0;
/** Somebody new. */
export function createStranger(): Key {
  const seed = new Uint8Array(32).fill(255);
  new DataView(seed.buffer).setUint32(0, ++identities);
  return createKeyFrom(seed);
}

/** A delta from the head of a peer, announced by somebody else. */
export function announce(
  bus: Bus,
  { peer, components }: Key,
  from: BusPeer,
  blobBytes = 60_000,
  base = from.replica.view.head.block,
): Uint8Array {
  const { height: baseHeight } = from.replica.view.head;
  const blob = nameBlob(encodeCbor([peer, base])).cid;
  const draft = { base, baseHeight, blob, blobBytes, norm: 1.5, tokens: 1_000, steps: 5, loss: 2.5 };
  return encodeSigned(
    'contribution',
    contributionBody(runDigest(bus.runId), peer, 1, draft),
    components.sign,
  );
}

/** Presences made so far. */
let presences = 0;

/** A newer one each time: whoever sends it says to stand at genesis. */
export function presence(
  bus: Bus,
  { peer, components }: Key,
  epoch = 0,
  opening: Presence['opening'] = null,
): Uint8Array {
  const block = genesisBlockId(bus.runId);
  const count = ++presences;
  const claim: Presence = {
    peer,
    life: 2 ** 40,
    count,
    epoch,
    view: 0,
    head: 0,
    final: 0,
    block,
    holds: [],
    opening,
  };
  return encodeSigned('presence', presenceBody(runDigest(bus.runId), claim), components.sign);
}

/** What a peer makes of a message. */
export function send(to: BusPeer, from: Key, ...statements: Uint8Array[]): Verdict {
  const [effect] = to.handle({ kind: 'message', from: from.peer, bytes: encodeMessage(statements) });
  assert.ok(effect?.kind === 'verdict');
  return effect.verdict;
}
