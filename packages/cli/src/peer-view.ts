/** What `murmur join` and `murmur start` show: events in words, and one line that says where the peer is. */
import type { PeerEvent, PeerStatus } from '@murmuration/peer';
import { formatBytes, formatCount, formatShare } from './format.ts';
import { createLiveView } from './live-view.ts';
import { formatRunLink } from './run-link.ts';

export interface PeerView {
  show(event: PeerEvent): void;
  /** A line of the command itself, among the events. */
  tell(line: string): void;
  close(): void;
}

export function createPeerView(): PeerView {
  const view = createLiveView();
  let status = '';
  let download: string | undefined;
  return {
    show(event) {
      if (event.kind === 'downloading') download = downloadLine(event);
      if (event.kind === 'installed') download = undefined;
      if (event.kind === 'status') status = statusLine(event.status);
      const moves = event.kind === 'status' || event.kind === 'downloading';
      if (moves && status !== '') view.show(download === undefined ? [status] : [status, download]);
      const text = textOf(event);
      for (const line of text?.split('\n') ?? []) view.tell(line);
    },
    tell: (line) => view.tell(line),
    close: () => view.close(),
  };
}

const downloadLine = ({ round, bytes, size, sources }: Extract<PeerEvent, { kind: 'downloading' }>): string =>
  `state of round ${round}: ${formatBytes(bytes)} of ${formatBytes(size)}, ${Math.floor((100 * bytes) / Math.max(1, size))} %, from ${sources} ${sources === 1 ? 'peer' : 'peers'}`;

const statusLine = (status: PeerStatus): string =>
  [
    `${status.phase === 'running' ? status.role : status.phase}`,
    `round ${status.round} of ${status.rounds}`,
    `root ${status.stateRoot.slice(0, 8)}`,
    `${status.membersConnected} of ${status.members} members`,
    `loss ${status.loss?.toFixed(3) ?? '–'}`,
    `${formatCount(status.tokensPerSecond)} ${status.unit}/s`,
    ...(status.time ? [`trains ${formatShare(status.time.trainingSeconds / status.time.wallSeconds)}`] : []),
    `${formatBytes(status.traffic.sent)} sent, ${formatBytes(status.traffic.received)} received`,
  ].join(' · ');

function textOf(event: PeerEvent): string | undefined {
  switch (event.kind) {
    case 'listening':
      return `peer ${event.peer}; others join by\n${formatRunLink({ runId: event.runId, peers: event.addresses })}`;
    case 'waiting':
      return `waiting for a peer that has the ${event.for}`;
    case 'opened':
      return (
        `${formatCount(event.parameters)} parameters, ` +
        `${event.restored ? `from the store, round ${event.head}` : 'fresh'}` +
        `\ntrains on ${event.device.name}: ${event.device.reason}`
      );
    case 'connected':
      return `connected to ${event.peer}`;
    case 'disconnected':
      return `lost ${event.peer}`;
    case 'certified':
      return (
        `round ${event.round} is certified with the work of ` +
        `${event.authors.length} ${event.authors.length === 1 ? 'peer' : 'peers'}${event.own ? ', ours among it' : ''}`
      );
    case 'skipped':
      return `view ${event.view} was skipped: its proposer did not answer`;
    case 'admitted':
      return `${event.peer} is a member from epoch ${event.epoch} on`;
    case 'retired':
      return `${event.peer} is no member from epoch ${event.epoch} on: ${event.reason === 'leave' ? 'it asked to leave' : 'it was silent for too long'}`;
    case 'convicted':
      return `${event.peer} signed two things that contradict each other: it is excluded for good from epoch ${event.epoch} on`;
    case 'vote-key-renewed':
      return event.reason === 'restored'
        ? 'this folder may be a copy or an old backup: from now on this peer votes by a new key, once the others know it'
        : 'others know votes of this peer that it does not remember (does a copy of it run?): it votes by a new key, once the others know it';
    case 'installed':
      return `downloaded and verified the state of round ${event.round} (${formatBytes(event.bytes)})`;
    case 'expired':
      return 'a contribution came too late; its work goes into the next one';
    case 'diverged':
      return `DIVERGED at round ${event.round}: the certificate says ${event.expected}, we computed ${event.computed || 'nothing: one of its deltas is invalid here'}; ${event.again ? 'for the second time, with a state taken anew: this peer stops' : 'the state is taken anew'}`;
    case 'conflict':
      return `TWO HISTORIES: round ${event.round} is block ${event.ours} here, and block ${event.theirs} ${event.from.length > 0 ? `by ${event.from.join(', ')}` : 'by a certificate'}. Both are certified: ask the founders which one is the run's. This peer stops.`;
    case 'engine-restarted':
      return `the engine died and was started again: ${event.reason}`;
    case 'ended':
      return `the run is over: round ${event.round}, state root ${event.stateRoot}`;
    case 'status':
    case 'downloading':
    case 'contributed':
      return undefined;
  }
}
