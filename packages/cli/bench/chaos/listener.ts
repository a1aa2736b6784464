/**
 * A process of its own: an observer's node that writes each gossip message of the run to standard output as a line of
 * base64, and answers, serves and passes on nothing. Arguments: run id, address to listen on, addresses to dial.
 */
import { randomBytes } from 'node:crypto';
import type { Cid } from '@murmuration/base';
import { createNetwork } from '@murmuration/network';

const [runId = '', listen = '', ...bootstrap] = process.argv.slice(2);
const network = await createNetwork(
  {
    runId: runId as Cid,
    seed: randomBytes(32),
    listen: [listen],
    bootstrap,
    mdns: false,
    limits: { judgedAtOnce: 64, waitingMax: 65_536, waitingPerPeerMax: 65_536 },
  },
  {
    blobs: { openBlob: () => Promise.resolve(undefined) },
    ledger: { entries: () => [] },
    onMessage(_from, bytes) {
      process.stdout.write(`${Buffer.from(bytes).toString('base64')}\n`);
      return 'ignore';
    },
  },
);
process.stdin.resume().once('end', () => {
  void network.stop().finally(() => process.exit(0));
});
