/**
 * How honest peers behave: nothing that they sign contradicts what they signed (G8), nothing grows without end (G6).
 */
import { equals } from 'uint8arrays/equals';
import type { Disk } from './disk.ts';
import type { SimPeer } from './peer.ts';
import type { Scenario } from './scenario.ts';
import { placeOf, type RawStatement, signedOpening } from './statements.ts';

export interface SignatureWatch {
  published(peer: SimPeer, statements: readonly RawStatement[], messageBytes: number): void;
}

export interface BoundsWatch {
  effects(count: number): void;
  fetches(count: number): void;
  disk(disk: Disk): void;
  /** An honest peer's replica had a signature checked. */
  check(peer: SimPeer, nowMs: number): void;
  /** The most of each that was seen. */
  readonly most: Readonly<Record<Bounded, number>>;
}

type Bounded = 'effects' | 'fetches' | 'records' | 'checks';

/** PROTOCOL.md §3: a gossip message. */
const messageBytesMax = 16 * 1_024;
const statementsMax = 64;
/** Signature checks are counted in pieces of time so long. */
const checksWindowMs = 10_000;

const words: Readonly<Record<Bounded, string>> = {
  effects: 'effects of one event',
  fetches: 'fetches at once',
  records: 'durable records',
  checks: `signature checks in ${checksWindowMs / 1_000} s`,
};

/** Lies that cost signature checks for nothing: their budget (PROTOCOL.md §3) holds so many at once and in a window. */
const floods: ReadonlySet<string> = new Set(['phantoms', 'spam', 'replay', 'accuse']);
const floodChecks = 256 + 16 * (checksWindowMs / 1_000);

/**
 * Up to twice the most that was seen: a replay takes two effects per block and asks for the deltas of four blocks
 * ahead, a recovery keeps its blocks, and every peer costs some 30 checks in 10 s of the shortest rounds.
 */
function boundsOf({ members, guests, rounds, liars, settings }: Scenario): Readonly<Record<Bounded, number>> {
  const peers = members + guests.length;
  const flooding = liars.flatMap(({ lies }) => lies).filter(({ kind }) => floods.has(kind)).length;
  return {
    effects: 100 + 2 * rounds + 4 * peers,
    fetches: 100 + 6 * peers,
    records: 40 + (settings.membership?.stallMs ? 2 * rounds : 0),
    checks: 100 + 48 * peers + floodChecks * flooding,
  };
}

export function createSignatureWatch(complain: (problem: string) => void): SignatureWatch {
  const signed = new Map<string, Uint8Array>();
  const opened = new Map<string, string>();
  const watchOpening = (peer: SimPeer, statement: RawStatement): void => {
    const found = signedOpening(statement, peer.id);
    if (!found) return;
    const key = `${peer.index} ${found.place}`;
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
        const copy = found.outlivesDisk ? `key ${peer.voteKeys}` : `disk ${peer.restores}`;
        const key = `${peer.index} ${copy} ${found.place}`;
        const earlier = signed.get(key);
        if (earlier && !equals(earlier, statement.bytes))
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

export function createBoundsWatch(complain: (problem: string) => void, scenario: Scenario): BoundsWatch {
  const max = boundsOf(scenario);
  const most = { effects: 0, fetches: 0, records: 0, checks: 0 };
  const windows = new Map<SimPeer, { from: number; count: number }>();
  const bound = (what: Bounded, count: number): void => {
    most[what] = Math.max(most[what], count);
    if (count > max[what]) complain(`G6: ${count} ${words[what]}, expected at most ${max[what]}`);
  };
  return {
    most,
    effects: (count) => bound('effects', count),
    fetches: (count) => bound('fetches', count),
    disk: ({ records }) => bound('records', records.size),
    check(peer, nowMs) {
      const from = Math.floor(nowMs / checksWindowMs);
      const window = windows.get(peer);
      const count = window?.from === from ? window.count + 1 : 1;
      windows.set(peer, { from, count });
      bound('checks', count);
    },
  };
}
