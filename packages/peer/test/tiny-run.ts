import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cid } from '@murmuration/base';
import { openStore } from '@murmuration/store';
import { createRun, freshNonce, type PeerEvent, storeRun, textModel } from '../src/index.ts';

/** A temporary folder with text, and stores for founders of a run with a model of some ten thousand parameters. */
export interface TinyRun {
  readonly directory: string;
  readonly runId: Cid;
  readonly text: string;
  store(index: number): string;
  remove(): void;
}

export async function createTinyRun(
  options: {
    founders?: number;
    rounds?: number;
    steps?: number;
    quorum?: 'crash' | 'byzantine';
    stallMs?: number;
  } = {},
): Promise<TinyRun> {
  const directory = mkdtempSync(join(tmpdir(), 'murmuration-peer-'));
  const text = join(directory, 'text.txt');
  writeFileSync(
    text,
    Array.from({ length: 400 }, (_, line) => `line ${line} is followed by line ${line + 1}`).join('\n'),
  );
  const folder = (index: number): string => join(directory, `peer-${index}`);
  const stores = Array.from({ length: options.founders ?? 1 }, (_, index) =>
    openStore({ directory: folder(index) }),
  );
  const created = createRun({
    name: 'tiny',
    nonce: freshNonce(),
    founders: stores.map(({ identity }) => identity.peer),
    rounds: options.rounds ?? 4,
    steps: options.steps ?? 2,
    overlapSteps: 2,
    batch: 2,
    model: textModel({ vocabulary: 260, context: 32, width: 32, layers: 1, heads: 2 }),
    snapshotEvery: 2,
    graceMs: 1_000,
    viewTimeoutMs: 2_000,
    ...(options.quorum && { quorum: options.quorum }),
    membership: { earnedAfter: 0, stallMs: options.stallMs ?? 0 },
  });
  const { runId } = created;
  for (const store of stores) store.bindRun(runId);
  for (const store of stores) await storeRun(store, created);
  for (const store of stores) store.close();
  return {
    directory,
    runId,
    text,
    store: folder,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

export const loopback = { listen: ['/ip4/127.0.0.1/tcp/0'], mdns: false, threads: 1 };

/** Collects events; `until` resolves with the first of a kind, also one that came before. */
export function collectEvents(): {
  readonly events: PeerEvent[];
  onEvent(event: PeerEvent): void;
  until(kind: PeerEvent['kind']): Promise<PeerEvent>;
} {
  const events: PeerEvent[] = [];
  const waiting: { kind: string; resolve: (event: PeerEvent) => void }[] = [];
  return {
    events,
    onEvent(event) {
      events.push(event);
      for (const waiter of waiting) if (waiter.kind === event.kind) waiter.resolve(event);
    },
    until(kind) {
      const earlier = events.find((event) => event.kind === kind);
      if (earlier) return Promise.resolve(earlier);
      return new Promise((resolve) => waiting.push({ kind, resolve }));
    },
  };
}
