/** Runs one peer until its run ends or somebody stops it; tells what happens as JSON lines or as text. */
import type { Cid } from '@murmuration/base';
import { createPeer, type PeerEvent } from '@murmuration/peer';
import type { Checkpoint } from '@murmuration/protocol';
import type { PeerOptions } from './commands/options.ts';
import { settledDataPaths } from './data-paths.ts';
import { createPeerView } from './peer-view.ts';
import { stopOnSignals } from './signals.ts';

export interface RunPeerInit {
  readonly options: PeerOptions;
  /** Absent: the run that the folder belongs to. */
  readonly runId?: Cid;
  readonly bootstrap?: readonly string[];
  readonly invitation?: Uint8Array;
  readonly checkpoint?: Checkpoint;
}

export async function runPeer({
  options,
  runId,
  bootstrap,
  invitation,
  checkpoint,
}: RunPeerInit): Promise<void> {
  const view = options.json ? undefined : createPeerView();
  const onEvent = (event: PeerEvent): void => {
    if (view) view.show(event);
    else process.stdout.write(`${JSON.stringify(event)}\n`);
  };
  const peer = await createPeer(
    {
      config: {
        directory: options.store,
        ...(options.data ? { data: settledDataPaths(options.data) } : {}),
        ...(options.listen ? { listen: options.listen } : {}),
        ...(options.threads ? { threads: options.threads } : {}),
        ...(options.device ? { device: options.device } : {}),
        checkpointActivations: options.checkpointActivations,
        ...(options.niceness === undefined ? {} : { niceness: options.niceness }),
        ...(options.archive === undefined ? {} : { archive: options.archive }),
        ...(options.observer ? { role: 'observer' as const } : {}),
        ...(options.mdns ? {} : { mdns: false }),
        ...(options.dhtClient ? { dht: 'client' as const } : {}),
        ...(bootstrap ? { bootstrap: [...bootstrap] } : {}),
      },
      ...(runId ? { runId } : {}),
      ...(invitation ? { invitation } : {}),
      ...(checkpoint ? { checkpoint } : {}),
    },
    { onEvent },
  );
  const signals = stopOnSignals(() => peer.stop(), view?.tell);
  if (options.whileStdinOpen) process.stdin.resume().once('end', () => void peer.stop());
  try {
    await peer.finished;
  } finally {
    await peer.stop();
    signals.dispose();
    view?.close();
  }
}
