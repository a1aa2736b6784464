/** What `murmur join` and `murmur start` show: events in words, and one line that says where the peer is. */
import type { PeerEvent, PeerStatus } from '@murmuration/peer';
import { formatBytes, formatCount } from './format.ts';
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
  return {
    show(event) {
      if (event.kind === 'status') view.show([statusLine(event.status)]);
      const text = textOf(event);
      for (const line of text?.split('\n') ?? []) view.tell(line);
    },
    tell: (line) => view.tell(line),
    close: () => view.close(),
  };
}

const statusLine = (status: PeerStatus): string =>
  [
    `${status.phase === 'running' ? status.role : status.phase}`,
    `round ${status.round} of ${status.rounds}`,
    `root ${status.stateRoot.slice(0, 8)}`,
    `${status.membersConnected} of ${status.members} members`,
    `loss ${status.loss?.toFixed(3) ?? '–'}`,
    `${formatCount(status.tokensPerSecond)} ${status.unit}/s`,
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
    case 'installed':
      return `downloaded and verified the state of round ${event.round} (${formatBytes(event.bytes)})`;
    case 'expired':
      return 'a contribution came too late; its work goes into the next one';
    case 'diverged':
      return `DIVERGED at round ${event.round}: the certificate says ${event.expected}, we computed ${event.computed}`;
    case 'engine-restarted':
      return `the engine died and was started again: ${event.reason}`;
    case 'ended':
      return `the run is over: round ${event.round}, state root ${event.stateRoot}`;
    case 'status':
    case 'contributed':
      return undefined;
  }
}
