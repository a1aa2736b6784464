import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cidOf, peerIdOf, sha256 } from '@murmuration/base';
import fc from 'fast-check';
import { CliError } from '../src/errors.ts';
import { formatRunLink, parseRunLink } from '../src/run-link.ts';

const runId = cidOf(Uint8Array.of(1));
const peer = peerIdOf(sha256(Uint8Array.of(2)));

const badLink =
  (...words: readonly string[]) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof CliError, String(error));
    assert.equal(error.code, 'bad-link');
    for (const word of words) assert.ok(error.message.includes(word), `${word} in: ${error.message}`);
    return true;
  };

test('formatRunLink writes multiaddrs so that people can read them', () => {
  const peers = [`/ip4/203.0.113.7/tcp/4150/p2p/${peer}`, '/ip6/2001:db8::1/tcp/4150'];
  assert.equal(
    formatRunLink({ runId, peers, invitation: Uint8Array.of(251, 255) }),
    `murmuration://${runId}?peer=/ip4/203.0.113.7/tcp/4150/p2p/${peer}&peer=/ip6/2001:db8::1/tcp/4150&invitation=-_8`,
  );
  assert.equal(formatRunLink({ runId, peers: [] }), `murmuration://${runId}`);
  const block = cidOf(Uint8Array.of(3), 'dag-cbor');
  assert.equal(
    formatRunLink({ runId, peers: [], checkpoint: { height: 640, block } }),
    `murmuration://${runId}?checkpoint=640.${block}`,
  );
});

test('parseRunLink reads what formatRunLink writes', () => {
  const part = fc.stringMatching(/^[^/?#&\s]{1,12}$/).filter((text) => !text.includes('p2p'));
  const multiaddr = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => `/${parts.join('/')}`);
  const link = fc.record(
    {
      runId: fc.uint8Array().map((bytes) => cidOf(bytes)),
      peers: fc.array(
        fc.oneof(
          multiaddr,
          multiaddr.map((address) => `${address}/p2p/${peer}`),
        ),
        { maxLength: 5 },
      ),
      invitation: fc.uint8Array({ minLength: 1, maxLength: 200 }),
      checkpoint: fc.record(
        {
          height: fc.integer({ min: 1, max: 2 ** 31 }),
          block: fc.uint8Array().map((bytes) => cidOf(bytes, 'dag-cbor')),
        },
        { noNullPrototype: true },
      ),
    },
    { requiredKeys: ['runId', 'peers'], noNullPrototype: true },
  );
  fc.assert(
    fc.property(link, fc.constantFrom('', ' ', '\n'), (value, blank) => {
      assert.deepEqual(parseRunLink(`${blank}${formatRunLink(value)}${blank}`), value);
    }),
  );
});

test('parseRunLink reads encoded slashes too', () => {
  const link = `murmuration://${runId}?peer=${encodeURIComponent('/ip4/127.0.0.1/tcp/1')}`;
  assert.deepEqual(parseRunLink(link), { runId, peers: ['/ip4/127.0.0.1/tcp/1'] });
});

test('parseRunLink says what was expected and what came', () => {
  const base = `murmuration://${runId}`;
  const refused: [link: string, ...words: string[]][] = [
    ['', 'murmuration://<run id>'],
    ['hello', 'murmuration://<run id>', 'hello'],
    [`https://example.org/${runId}`, 'murmuration://', 'https://example.org'],
    ['murmuration://', 'run id'],
    ['murmuration://QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N', 'run id (bafk', 'QmYyQSo1'],
    [`murmuration://${runId.slice(0, -2)}`, 'run id'],
    [`murmuration://${cidOf(Uint8Array.of(1), 'dag-cbor')}`, 'bafkrei', 'bafyrei'],
    [`${base}:80`, 'run id'],
    [`${base}/more`, 'nothing between'],
    [`${base}#part`, 'no #'],
    [`${base}?pear=/ip4/1.2.3.4`, 'only peer=, invitation= and checkpoint=', 'pear'],
    [`${base}?peer=1.2.3.4:80`, 'multiaddr', '1.2.3.4:80'],
    [`${base}?peer=`, 'multiaddr'],
    [
      `${base}?peer=/ip4/1.2.3.4/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N`,
      'Ed25519 peer id',
      'QmYy',
    ],
    [`${base}?peer=/${'x'.repeat(600)}`, 'multiaddr'],
    [`${base}?${'peer=/a&'.repeat(33)}`, 'at most 32 peers', '33'],
    [`${base}?invitation=`, 'base64url'],
    [`${base}?invitation=a*b`, 'base64url', 'a*b'],
    [`${base}?invitation=AQ&invitation=AQ`, 'at most one invitation'],
    [`${base}?checkpoint=`, 'checkpoint=<round>.<block id>'],
    [`${base}?checkpoint=0.${cidOf(Uint8Array.of(1), 'dag-cbor')}`, 'checkpoint=<round>.<block id>'],
    [`${base}?checkpoint=64.${runId}`, 'checkpoint=<round>.<block id>', '64.'],
    [`${base}?checkpoint=64.bafyrei`, 'checkpoint=<round>.<block id>'],
    [`${base}?checkpoint=1.a&checkpoint=1.a`, 'at most one checkpoint'],
    [`${base}?invitation=${'A'.repeat(40_000)}`, 'murmuration://<run id>'],
  ];
  for (const [link, ...words] of refused)
    assert.throws(() => parseRunLink(link), badLink(...words), link.slice(0, 80));
});

test('parseRunLink ends in CliError for any text', () => {
  const text = fc.oneof(
    fc.string(),
    fc.string().map((rest) => `murmuration://${rest}`),
    fc.string().map((rest) => `murmuration://${runId}?${rest}`),
  );
  fc.assert(
    fc.property(text, (link) => {
      try {
        assert.equal(parseRunLink(link).runId, runId);
      } catch (error) {
        assert.ok(error instanceof CliError, String(error));
      }
    }),
  );
});

test('formatRunLink refuses an address that it could not read back', () => {
  for (const address of ['127.0.0.1:80', '/a b', '/a?b', '/ip4/1.2.3.4/p2p/nobody'])
    assert.throws(() => formatRunLink({ runId, peers: [address] }), badLink(address.slice(-6)));
});
