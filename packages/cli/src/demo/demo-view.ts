/** What the demo shows while it runs: one row per peer, kept at the bottom; events in words above. */
import { formatBytes, formatCount, formatDuration } from '../format.ts';
import { createLiveView } from '../live-view.ts';
import { formatTable } from '../table.ts';
import { languageName } from './defaults.ts';
import type { DemoWatcher } from './demo.ts';
import type { PeerProcess } from './peer-process.ts';

export interface DemoView extends DemoWatcher {
  /** One line of progress after the run, in place of the rows. */
  onProgress(text: string): void;
  close(): void;
}

const silent: DemoView = {
  onEvent: () => undefined,
  onPeers: () => undefined,
  onProgress: () => undefined,
  close: () => undefined,
};

export function createDemoView({ quiet }: { readonly quiet: boolean }): DemoView {
  if (quiet) return silent;
  const view = createLiveView();
  const startedMs = performance.now();
  const elapsed = (): string => formatDuration(performance.now() - startedMs);
  return {
    onEvent: (text) => view.tell(`${elapsed().padStart(11)}  ${text}`),
    onPeers: (peers, rounds) => view.show(rowsOf(peers, rounds, elapsed())),
    onProgress: (text) => view.show([`${elapsed().padStart(11)}  ${text}`]),
    close: () => view.close(),
  };
}

const header = ['peer', 'state', 'round', 'loss', 'tokens/s', 'sent', 'received', 'members', 'state root'];

function rowsOf(peers: readonly PeerProcess[], rounds: number, elapsed: string): string[] {
  const rows = peers.map((peer) => {
    const { status } = peer;
    const name = languageName(peer.language);
    if (!status || (!peer.running && !peer.endRoot)) return [name, peer.running ? 'starting' : 'killed'];
    return [
      name,
      status.phase === 'running' ? status.role : status.phase,
      `${status.round}/${rounds}`,
      status.loss?.toFixed(3) ?? '–',
      formatCount(status.tokensPerSecond),
      formatBytes(peer.traffic.sent),
      formatBytes(peer.traffic.received),
      `${status.membersConnected}/${status.members}`,
      status.stateRoot.slice(0, 8),
    ];
  });
  return ['', ...formatTable(header, rows).split('\n'), `after ${elapsed}; Ctrl-C stops all peers`];
}
