/** Question `memory`: does what a peer keeps in memory grow with the rounds? */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setFlagsFromString, writeHeapSnapshot } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createPeer, type Peer, type PeerEvent } from '../src/index.ts';
import { createTinyRun, loopback, type TinyRun } from '../test/tiny-run.ts';

/** What is reachable, by round, of one peer. */
interface MemoryAt {
  readonly round: number;
  readonly seconds: number;
  readonly heapMB: number;
  /** Beside the heap. */
  readonly buffersMB: number;
}

interface Settings {
  readonly rounds: number;
  readonly every: number;
  readonly peers: number;
  /** Where to write heap snapshots, to be compared. */
  readonly snapshots: string | undefined;
}

function readSettings(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '1000' },
      every: { type: 'string', default: '250' },
      peers: { type: 'string', default: '2' },
      snapshots: { type: 'string' },
    },
  });
  const { snapshots } = values;
  const [rounds, every, peers] = [values.rounds, values.every, values.peers].map(Number) as [
    number,
    number,
    number,
  ];
  if (!(peers >= 1) || !(every >= 1) || !(rounds >= every) || rounds % every !== 0)
    throw new Error(`expected --peers N --rounds N --every N that divides it, got ${args.join(' ')}`);
  return { rounds, every, peers, snapshots };
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Finalizers want a turn of the loop, and what they let go another collection. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Peers of one process, connected by the address of the first, whose rounds are told. */
async function startPeers(run: TinyRun, count: number, onRound: (round: number) => void): Promise<Peer[]> {
  const peers: Peer[] = [];
  const tell = (event: PeerEvent): void => {
    if (event.kind === 'certified') onRound(event.round);
  };
  for (let index = 0; index < count; index++) {
    const bootstrap = peers[0]?.addresses() ?? [];
    const config = { directory: run.store(index), data: [run.text], ...loopback, bootstrap };
    peers.push(await createPeer({ config }, index === 0 ? { onEvent: tell } : {}));
  }
  return peers;
}

export async function bench(args: readonly string[]): Promise<{ peers: number; table: readonly MemoryAt[] }> {
  const { rounds, every, peers: count, snapshots } = readSettings(args);
  if (snapshots) mkdirSync(snapshots, { recursive: true });
  const run = await createTinyRun({ founders: count, rounds: rounds + 1 });
  const table: MemoryAt[] = [];
  const reached = Promise.withResolvers<void>();
  const started = performance.now();
  const measure = async (round: number): Promise<void> => {
    const seconds = Math.round((performance.now() - started) / 1_000);
    await settle();
    const { heapUsed, external } = process.memoryUsage();
    const row = { round, seconds, heapMB: heapUsed / count / 1e6, buffersMB: external / count / 1e6 };
    table.push(row);
    console.log(
      [String(round), String(seconds), row.heapMB.toFixed(1), row.buffersMB.toFixed(1)]
        .map((text) => text.padStart(14))
        .join(''),
    );
    if (snapshots) writeHeapSnapshot(join(snapshots, `round-${round}.heapsnapshot`));
    if (round >= rounds) reached.resolve();
  };
  console.log(['round', 'seconds', 'heap, MB', 'buffers, MB'].map((text) => text.padStart(14)).join(''));
  const peers = await startPeers(run, count, (round) => {
    if (round % every === 0) measure(round).catch(reached.reject);
  });
  try {
    await reached.promise;
  } finally {
    await Promise.all(peers.map((peer) => peer.stop()));
    run.remove();
  }
  return { peers: count, table };
}
