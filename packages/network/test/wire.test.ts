import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, encodeCbor } from '@murmuration/base';
import { decodeAnswer, decodeRequest, encodeAnswer, encodeRequest } from '../src/blob-wire.ts';
import { blobProtocol, dhtProtocol, ledgerProtocol } from '../src/defaults.ts';
import { topicOf } from '../src/gossip.ts';
import { createLedgerProtocol, decodeEntries, decodeRange } from '../src/ledger-exchange.ts';
import { serving } from './serving.ts';

/** Bytes of the first release, written by hand: whoever changes them cuts the network in two. */
const fixtures = {
  chunkRequest: '00039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81',
  manifestRequest: '01039058c6f2c0cb492c533b0a4d14ef77cc0f78abccced5287d84a1a2011cfb81',
  found: '00010203',
  notHere: '01',
  range: 'a46372756e613a6466726f6d03656279746573191000' + '65636f756e7402',
  entries: 'a167656e747269657382820341078204420809',
  refused: 'a16772656675736564696f746865722d72756e',
} as const;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const three = Uint8Array.of(1, 2, 3);

test('protocol names are those of the first release', () => {
  assert.deepEqual(
    [blobProtocol, ledgerProtocol, dhtProtocol, topicOf('x')],
    ['/murmuration/blob/1', '/murmuration/ledger/1', '/murmuration/kad/1', '/murmuration/run/1/x'],
  );
});

test('encodeRequest and encodeAnswer write the bytes of the first release, and the decoders read them', () => {
  const [chunk, manifest] = [cidOf(three), cidOf(three, 'dag-cbor')];
  assert.equal(hex(encodeRequest(chunk)), fixtures.chunkRequest);
  assert.equal(hex(encodeRequest(manifest)), fixtures.manifestRequest);
  assert.equal(decodeRequest(fromHex(fixtures.chunkRequest)), chunk);
  assert.equal(decodeRequest(fromHex(fixtures.manifestRequest)), manifest);
  assert.equal(hex(encodeAnswer(three)), fixtures.found);
  assert.equal(hex(encodeAnswer(undefined)), fixtures.notHere);
  assert.deepEqual(decodeAnswer(fromHex(fixtures.found)), three);
  assert.equal(decodeAnswer(fromHex(fixtures.notHere)), undefined);
});

test('createLedgerProtocol answers the requests of the first release in its bytes', async (t) => {
  const { conduct, limits } = serving(t);
  const entries = [
    { height: 3, bytes: Uint8Array.of(7) },
    { height: 4, bytes: Uint8Array.of(8, 9) },
  ];
  const request = { run: ':', from: 3, count: 2, bytes: 4_096 };
  assert.deepEqual(decodeRange(encodeCbor(request)), request);
  assert.equal(hex(encodeCbor(request)), fixtures.range);
  const answerOf = async (run: string): Promise<string> => {
    const ledger = { entries: () => entries };
    const protocol = createLedgerProtocol(
      run as ReturnType<typeof cidOf>,
      ledger,
      conduct,
      limits,
      async () => undefined,
    );
    return hex((await protocol.respond('peer', fromHex(fixtures.range))).subarray());
  };
  assert.equal(await answerOf(':'), fixtures.entries);
  assert.equal(await answerOf('another'), fixtures.refused);
  assert.deepEqual(decodeEntries(fromHex(fixtures.entries), 3, 2), entries);
  assert.throws(() => decodeEntries(fromHex(fixtures.refused), 3, 2), { code: 'unavailable' });
});
