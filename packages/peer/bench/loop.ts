/** Question `loop`: does the peer's process answer promptly while its engine saturates every core? */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openStore } from '@murmuration/store';
import { createRun, freshNonce, type PeerEvent, type PeerStatus, storeRun, textModel } from '../src/index.ts';

const murmur = fileURLToPath(new URL('../../cli/bin/murmur.js', import.meta.url));
const warmupMs = 5_000;
const measureMs = 30_000;

/** A run of one founder with the demo's model, on text that costs nothing to make. */
async function foundRun(directory: string): Promise<void> {
  const store = openStore({ directory });
  const created = createRun({
    name: 'loop',
    nonce: freshNonce(),
    founders: [store.identity.peer],
    rounds: 1_000_000,
    model: textModel({ vocabulary: 260, context: 128, width: 128, layers: 4, heads: 4 }),
    snapshotEvery: 16,
    graceMs: 1_000,
    viewTimeoutMs: 5_000,
  });
  await storeRun(store, created);
  store.close();
}

function collectStatuses(directory: string, text: string): Promise<PeerStatus[]> {
  const peer = spawn(
    process.execPath,
    [
      murmur,
      ...['start', '--store', directory, '--data', text, '--json', '--no-mdns'],
      ...['--listen', '/ip4/127.0.0.1/tcp/0', '--threads', String(availableParallelism())],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const statuses: PeerStatus[] = [];
  const started = performance.now();
  createInterface({ input: peer.stdout }).on('line', (line) => {
    const event = JSON.parse(line) as PeerEvent;
    if (event.kind === 'status' && performance.now() - started > warmupMs) statuses.push(event.status);
  });
  return new Promise((resolve, reject) => {
    setTimeout(() => peer.kill('SIGINT'), warmupMs + measureMs);
    peer.once('exit', (code) =>
      statuses.length > 0
        ? resolve(statuses)
        : reject(new Error(`the peer ended with code ${code} and told nothing`)),
    );
  });
}

export async function bench(): Promise<{ p99Ms: number; rssMB: number; rounds: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'murmuration-loop-'));
  try {
    const text = join(directory, 'text.txt');
    writeFileSync(
      text,
      Array.from({ length: 20_000 }, (_, line) => `line ${line} of ${line * line} words`).join('\n'),
    );
    await foundRun(join(directory, 'peer'));
    const statuses = await collectStatuses(join(directory, 'peer'), text);
    const rss = Math.max(...statuses.map(({ memory }) => memory.peer + memory.engine)) / 2 ** 20;
    const last = statuses.at(-1) as PeerStatus;
    const p99Ms = last.loopDelayP99Ms;
    console.log('question                                                   result     to reach');
    console.log(
      `event-loop delay, 99th percentile, ms               ${p99Ms.toFixed(1).padStart(12)}     < 50`,
    );
    console.log(
      `resident memory, peer and engine, MB                ${rss.toFixed(0).padStart(12)}     < 600`,
    );
    console.log(`rounds certified meanwhile                          ${String(last.round).padStart(12)}`);
    return { p99Ms, rssMB: rss, rounds: last.round };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
