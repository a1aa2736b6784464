/**
 * A ledger that is downloaded as it is read, by somebody who has no folder and keeps nothing: a node with a key of its
 * own for as long as the audit takes. It listens nowhere, serves nothing and judges no message.
 */
import { type Cid, decodeRunConfig, matchesCid, type PeerId } from '@murmuration/base';
import { createNetwork, type Network, NetworkError } from '@murmuration/network';
import type { LedgerEntry } from '@murmuration/protocol';
import { hashBytes } from '@murmuration/store';
import {
  auditConnectMs,
  fetchRetryMaxMs,
  fetchRetryMs,
  runConfigBytesMax,
  syncEntriesMax,
} from './defaults.ts';
import { PeerError } from './errors.ts';
import { pause } from './fetch-until-served.ts';
import type { LedgerSource } from './ledger-source.ts';

export interface RemoteLedgerInit {
  readonly runId: Cid;
  /** Multiaddrs of peers that keep the ledger; they, or others of the run that they know, are asked. */
  readonly peers: readonly string[];
  readonly mdns?: boolean;
  /** How long to wait for somebody who answers, ms. */
  readonly connectMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Connects to the peers of a run. Throws `PeerError` `unreachable` when nobody answers in time, `bad-run`, `stopped`,
 * or the network's errors.
 */
export async function openRemoteLedger(init: RemoteLedgerInit): Promise<LedgerSource> {
  const { runId, peers, mdns = false, connectMs = auditConnectMs } = init;
  const network = await createNetwork(
    {
      runId,
      seed: crypto.getRandomValues(new Uint8Array(32)),
      listen: [],
      bootstrap: peers,
      mdns,
      dht: 'client',
    },
    {
      blobs: { openBlob: async () => undefined },
      ledger: { entries: () => [] },
      onMessage: () => 'ignore',
    },
  );
  try {
    const late = AbortSignal.timeout(connectMs);
    const signal = init.signal ? AbortSignal.any([init.signal, late]) : late;
    const settings = await answered(network, runId, signal).catch((error: unknown) => {
      if (!late.aborted) throw error;
      throw new PeerError(`no peer of run ${runId} answered within ${connectMs / 1_000} s`, {
        code: 'unreachable',
        runId,
        peers,
      });
    });
    if (!matchesCid(settings, runId, hashBytes))
      throw new PeerError(`run settings: expected bytes that hash to ${runId}`, { code: 'bad-run', runId });
    const run = decodeRunConfig(settings);
    return {
      run,
      runId,
      base: undefined,
      height: undefined,
      entries: () => downloadedEntries(network, connectMs, init.signal),
      blob: (cid, bytesMax) => fetched(network, cid, bytesMax, init.signal),
      close: () => network.stop(),
    };
  } catch (error) {
    await network.stop();
    throw error;
  }
}

/** The run's settings, from whoever is connected first. */
async function answered(network: Network, runId: Cid, signal: AbortSignal): Promise<Uint8Array> {
  for (;;) {
    const settings =
      network.connected().length > 0 ? await fetched(network, runId, runConfigBytesMax, signal) : undefined;
    if (settings) return settings;
    await pause(fetchRetryMs, signal);
  }
}

async function fetched(
  network: Network,
  cid: Cid,
  bytesMax: number,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  try {
    return await network.fetchBlob(cid, { bytesMax, ...(signal && { signal }) });
  } catch (error) {
    if (!(error instanceof NetworkError) || signal?.aborted) throw error;
    return undefined;
  }
}

/** Page by page from the peer that has most of it to offer; from another one when that one fails. */
async function* downloadedEntries(
  network: Network,
  connectMs: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<LedgerEntry> {
  let from: PeerId | undefined;
  for (let height = 1; ; ) {
    const page = await nextPage(network, height, from, connectMs, signal);
    if (page.entries.length === 0) return;
    from = page.from;
    yield* page.entries;
    height += page.entries.length;
  }
}

/** From the peer that gave the last page, else from whoever has one; nothing when all who answer have no more. */
async function nextPage(
  network: Network,
  height: number,
  last: PeerId | undefined,
  connectMs: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly from: PeerId | undefined; readonly entries: readonly LedgerEntry[] }> {
  const deadline = performance.now() + connectMs;
  for (let delayMs = fetchRetryMs; ; delayMs = Math.min(2 * delayMs, fetchRetryMaxMs)) {
    const connected = network.connected();
    const order =
      last && connected.includes(last) ? [last, ...connected.filter((one) => one !== last)] : connected;
    let answers = 0;
    for (const peer of order) {
      const options = { countMax: syncEntriesMax, ...(signal && { signal }) };
      const entries = await network.fetchEntries(peer, height, options).catch((error: unknown) => {
        if (!(error instanceof NetworkError) || signal?.aborted) throw error;
        return undefined;
      });
      if (entries?.length) return { from: peer, entries };
      if (entries) answers++;
    }
    if (answers > 0) return { from: undefined, entries: [] };
    if (performance.now() > deadline)
      throw new PeerError(`block ${height}: no peer of the run answered within ${connectMs / 1_000} s`, {
        code: 'unreachable',
        height,
      });
    await pause(delayMs, signal ?? new AbortController().signal);
  }
}
