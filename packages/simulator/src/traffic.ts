/** What everybody sends and receives: gossip by message, pulled blobs, ledgers and states by bytes. */
import type { SimPeer } from './peer.ts';
import { readMessage } from './statements.ts';

export interface PeerTraffic {
  messagesSent: number;
  bytesSent: number;
  messagesReceived: number;
  bytesReceived: number;
  /** Bytes of blobs, ledger entries and states that it gave and took. */
  servedBytes: number;
  pulledBytes: number;
  /** Signatures that its replica had checked. */
  checks: number;
}

/** How much of one kind of statement was sent, every copy counted. */
export interface KindTraffic {
  count: number;
  bytes: number;
}

/** All that was sent until some moment. */
export interface TrafficMark {
  readonly messages: number;
  readonly bytes: number;
  readonly kinds: Readonly<Record<string, KindTraffic>>;
}

export interface Traffic {
  /** Statements sent, by kind. */
  readonly kinds: Readonly<Record<string, KindTraffic>>;
  /** What was sent until each height became final. */
  readonly marks: readonly TrafficMark[];
  mark(): void;
  /** What gossip says about long messages beside them. */
  announced(from: SimPeer, bytes: number): void;
  sent(from: SimPeer, message: Uint8Array): void;
  received(to: SimPeer, bytes: number): void;
  served(from: SimPeer, to: SimPeer, bytes: number): void;
  checked(by: SimPeer): void;
  of(peer: SimPeer): PeerTraffic;
}

export function createTraffic(): Traffic {
  const all = new Map<SimPeer, PeerTraffic>();
  const kinds: Record<string, KindTraffic> = {};
  const marks: TrafficMark[] = [];
  const of = (peer: SimPeer): PeerTraffic => {
    let own = all.get(peer);
    if (!own) {
      own = {
        messagesSent: 0,
        bytesSent: 0,
        messagesReceived: 0,
        bytesReceived: 0,
        servedBytes: 0,
        pulledBytes: 0,
        checks: 0,
      };
      all.set(peer, own);
    }
    return own;
  };
  return {
    of,
    kinds,
    marks,
    mark() {
      const sums = [...all.values()];
      marks.push({
        messages: sums.reduce((sum, { messagesSent }) => sum + messagesSent, 0),
        bytes: sums.reduce((sum, { bytesSent }) => sum + bytesSent, 0),
        kinds: Object.fromEntries(Object.entries(kinds).map(([kind, so]) => [kind, { ...so }])),
      });
    },
    announced(from, bytes) {
      of(from).bytesSent += bytes;
    },
    sent(from, message) {
      const own = of(from);
      own.messagesSent++;
      own.bytesSent += message.length;
      for (const { kind, bytes } of readMessage(message)) {
        kinds[kind] ??= { count: 0, bytes: 0 };
        kinds[kind].count++;
        kinds[kind].bytes += bytes.length;
      }
    },
    received(to, bytes) {
      const own = of(to);
      own.messagesReceived++;
      own.bytesReceived += bytes;
    },
    checked(by) {
      of(by).checks++;
    },
    served(from, to, bytes) {
      of(from).servedBytes += bytes;
      of(to).pulledBytes += bytes;
    },
  };
}
