/**
 * How honest peers behave: nothing that they sign contradicts what they signed (G8), nothing grows without end (G6).
 */
import type { Disk } from './disk.ts';
import type { SimPeer } from './peer.ts';
import { placeOf, type RawStatement, signedOpening } from './statements.ts';

export interface SignatureWatch {
  published(peer: SimPeer, statements: readonly RawStatement[], messageBytes: number): void;
}

export interface BoundsWatch {
  effects(count: number): void;
  fetches(count: number): void;
  disk(disk: Disk): void;
}

/** PROTOCOL.md §3: a gossip message. */
const messageBytesMax = 16 * 1_024;
const statementsMax = 64;
/** Far above what a round of the largest simulated run needs (14 records), far below what grows without end. */
const effectsMax = 20_000;
const fetchesMax = 4_096;
const recordsMax = 128;

const equal = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, index) => byte === b[index]);

export function createSignatureWatch(complain: (problem: string) => void): SignatureWatch {
  const signed = new Map<string, Uint8Array>();
  const opened = new Map<string, string>();
  const watchOpening = (peer: SimPeer, statement: RawStatement): void => {
    const found = signedOpening(statement, peer.id);
    if (!found) return;
    const key = `${peer.index} ${peer.restores} ${found.place}`;
    if ((opened.get(key) ?? found.what) !== found.what)
      complain(`G8: peer ${peer.index} contradicts what it signed: ${found.place}`);
    opened.set(key, found.what);
  };
  return {
    published(peer, statements, messageBytes) {
      if (messageBytes > messageBytesMax || statements.length > statementsMax)
        complain(
          `G6: peer ${peer.index} sends ${messageBytes} bytes in ${statements.length} statements at once`,
        );
      for (const statement of statements) {
        watchOpening(peer, statement);
        const found = placeOf(statement);
        if (!found || found.signer !== peer.id) continue;
        const key = `${peer.index} ${peer.restores} ${peer.voteKeys} ${found.place}`;
        const earlier = signed.get(key);
        if (earlier && !equal(earlier, statement.bytes))
          complain(`G8: peer ${peer.index} contradicts what it signed: ${found.place}`);
        signed.set(key, statement.bytes);
        const other = key.endsWith(' skip')
          ? key.replace(/ skip$/, ' finalize')
          : key.endsWith(' finalize')
            ? key.replace(/ finalize$/, ' skip')
            : undefined;
        if (other !== undefined && signed.has(other))
          complain(`G8: peer ${peer.index} signs skip and finalize: ${found.place}`);
      }
    },
  };
}

export function createBoundsWatch(complain: (problem: string) => void): BoundsWatch {
  const bound = (what: string, count: number, max: number): void => {
    if (count > max) complain(`G6: ${count} ${what}, expected at most ${max}`);
  };
  return {
    effects: (count) => bound('effects of one event', count, effectsMax),
    fetches: (count) => bound('fetches at once', count, fetchesMax),
    disk: ({ records }) => bound('durable records', records.size, recordsMax),
  };
}
