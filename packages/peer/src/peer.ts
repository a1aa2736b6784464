import { type Cid, type PeerId, type RunConfig, runDigest, unitOf } from '@murmuration/base';
import { createNetwork, type Network } from '@murmuration/network';
import { checkInvitation, parseInvitation, provisionalEntries } from '@murmuration/protocol';
import { openStore, type Store, StoreError, verifySignature } from '@murmuration/store';
import { fromString as bytesOf } from 'uint8arrays/from-string';
import { toString as textOf } from 'uint8arrays/to-string';
import {
  engineMemoryEveryMs,
  engineRestartsMax,
  engineSteadyMs,
  lingerMs,
  renewVoteKeyGrowth,
  renewVoteKeyMaxMs,
  renewVoteKeyMs,
  saveAddressesEveryMs,
  saveStatusEveryMs,
  statusEveryMs,
} from './defaults.ts';
import { PeerError } from './errors.ts';
import { fetchBase, pinCheckpoint } from './fetch-checkpoint.ts';
import { fetchRun } from './fetch-run.ts';
import { pause } from './fetch-until-served.ts';
import type { Peer, PeerComponents, PeerEvent, PeerInit, PeerStatus } from './index.ts';
import { type LoopDelay, measureLoopDelay } from './loop-delay.ts';
import { type PeerConfig, type PeerConfigInput, parsePeerConfig } from './peer-config.ts';
import { knownAddresses, saveAddresses, saveStatus } from './saved-status.ts';
import { Session } from './session.ts';

const configSetting = 'peer-config';
const invitationSetting = 'invitation';

/** Starts a peer; resolves as soon as it listens. Everything after that is told by events. */
export async function createPeer(init: PeerInit, components: PeerComponents = {}): Promise<Peer> {
  const { directory } = parsePeerConfig(init.config);
  const settled = { ...savedConfig(directory, init.runId !== undefined), ...init.config };
  const config = parsePeerConfig(settled);
  const store = openStore({
    directory,
    blobBytesMax: config.archive ? Number.POSITIVE_INFINITY : config.blobBytesMax,
    ...(init.runId ? { runId: init.runId } : {}),
  });
  try {
    const remember = (): void => store.putSetting(configSetting, bytesOf(JSON.stringify(settled)));
    const runId = store.runId;
    if (!runId)
      throw new PeerError(
        `${directory} belongs to no run yet: expected a run link or an initialised folder`,
        {
          code: 'no-run',
          directory,
        },
      );
    if (config.data.length === 0 && config.role !== 'observer')
      throw new PeerError('data: expected text to train on (or the role of an observer), got none', {
        code: 'bad-settings',
      });
    runDigest(runId);
    if (init.invitation) store.putSetting(invitationSetting, init.invitation);
    if (init.checkpoint) pinCheckpoint(store, init.checkpoint);
    const peer = new RunningPeer({
      runId,
      config,
      remember,
      store,
      onEvent: components.onEvent ?? (() => undefined),
    });
    await peer.start();
    return peer;
  } catch (error) {
    store.close();
    throw error;
  }
}

/** Settings that are not given now are those of the last time; they are kept once they have proved to work. */
function savedConfig(directory: string, mayBeNew: boolean): Partial<PeerConfigInput> {
  try {
    const store = openStore({ directory, readOnly: true });
    const saved = store.getSetting(configSetting);
    store.close();
    return saved ? (JSON.parse(textOf(saved)) as Partial<PeerConfigInput>) : {};
  } catch (error) {
    if (mayBeNew && error instanceof StoreError && error.code === 'missing') return {};
    throw error;
  }
}

interface RunningPeerInit {
  readonly runId: Cid;
  readonly config: PeerConfig;
  remember(): void;
  readonly store: Store;
  onEvent(event: PeerEvent): void;
}

class RunningPeer implements Peer {
  readonly id: PeerId;
  readonly finished: Promise<void>;
  readonly #runId: Cid;
  readonly #config: PeerConfig;
  readonly #remember: () => void;
  readonly #store: Store;
  readonly #onEvent: (event: PeerEvent) => void;
  readonly #abort = new AbortController();
  readonly #loopDelay: LoopDelay = measureLoopDelay();
  readonly #finish: { resolve: () => void; reject: (error: unknown) => void };
  #network: Network | undefined;
  #session: Session | undefined;
  #run: RunConfig | undefined;
  #base: Uint8Array | undefined;
  #engineMemory = 0;
  #engineMemoryMs = Number.NEGATIVE_INFINITY;
  #restarts = 0;
  #renewals = 0;
  #statusSavedMs = 0;
  #intervals: NodeJS.Timeout[] = [];
  #stopping: Promise<void> | undefined;
  #leaving = false;

  constructor({ runId, config, remember, store, onEvent }: RunningPeerInit) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.finished = promise;
    this.finished.catch(() => undefined);
    this.#finish = { resolve, reject };
    this.id = store.identity.peer;
    this.#runId = runId;
    this.#config = config;
    this.#remember = remember;
    this.#store = store;
    this.#onEvent = (event) => {
      onEvent(event);
      if (event.kind === 'ended') void this.#linger();
    };
  }

  async start(): Promise<void> {
    const { listen, bootstrap, mdns, dht } = this.#config;
    this.#network = await createNetwork(
      {
        runId: this.#runId,
        seed: this.#store.identity.seed,
        listen,
        bootstrap,
        mdns,
        dht,
        knownAddresses: knownAddresses(this.#store),
      },
      {
        blobs: this.#store,
        ledger: {
          entries: (from, countMax, bytesMax, opening) =>
            opening
              ? provisionalEntries(this.#store.records(), opening, from, countMax)
              : this.#store.entries(from, countMax, bytesMax),
          state: (height) => this.#store.state(height),
        },
        onMessage: (from, bytes) => this.#session?.receive(from, bytes) ?? 'ignore',
        onConnect: (peer) => this.#peerChanged(peer, 'connected'),
        onDisconnect: (peer) => this.#peerChanged(peer, 'disconnected'),
      },
    );
    this.#saveAddresses();
    this.#onEvent({ kind: 'listening', peer: this.id, runId: this.#runId, addresses: this.addresses() });
    this.#intervals = [
      setInterval(() => void this.#tick().catch((error: unknown) => this.#fail(error)), statusEveryMs),
      setInterval(() => this.#saveAddressesOrFail(), saveAddressesEveryMs),
    ];
    this.#enter().catch((error: unknown) => this.#fail(error));
  }

  addresses(): string[] {
    return this.#network?.addresses() ?? [];
  }

  status(): PeerStatus {
    const view = this.#session?.view;
    const progress = this.#session?.progress;
    const connected = this.#network?.connected() ?? [];
    const members = view?.members ?? [];
    return {
      peer: this.id,
      run: this.#run?.name ?? '',
      role: view?.role ?? this.#config.role,
      phase: view?.phase ?? 'starting',
      epoch: view?.epoch ?? 0,
      view: view?.view ?? 0,
      round: view?.final.height ?? 0,
      head: view?.head.height ?? 0,
      rounds: this.#run?.rounds ?? 0,
      stateRoot: view ? textOf(view.final.stateRoot, 'base16') : '',
      members: members.length,
      voters: view?.voters.length ?? 0,
      votes: view?.voters.includes(this.id) ?? false,
      membersConnected: members.filter((member) => member === this.id || connected.includes(member)).length,
      connected: connected.length,
      step: progress?.step ?? 0,
      loss: progress?.loss,
      tokensPerSecond: progress?.tokensPerSecond ?? 0,
      unit: this.#run ? unitOf(this.#run) : 'tokens',
      time: progress?.time,
      device: this.#session?.device,
      blobs: {
        bytes: this.#store.blobBytes(),
        bytesMax: this.#config.archive ? null : this.#config.blobBytesMax,
      },
      traffic: this.#network?.traffic() ?? { sent: 0, received: 0, byProtocol: {} },
      loopDelayP99Ms: this.#loopDelay.p99Ms(),
      memory: { peer: process.memoryUsage.rss(), engine: this.#engineMemory },
    };
  }

  leave(): void {
    this.#leaving = true;
    this.#session?.leave();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Gets the run's settings and graph, then opens the first session. */
  async #enter(): Promise<void> {
    const network = this.#network as Network;
    const { run, graph } = await fetchRun(
      this.#runId,
      { store: this.#store, network, onWait: (what) => this.#onEvent({ kind: 'waiting', for: what }) },
      this.#abort.signal,
    );
    this.#run = run;
    this.#checkInvitation(run);
    const runId = this.#runId;
    const onWait = (): void => this.#onEvent({ kind: 'waiting', for: 'checkpoint' });
    this.#base = await fetchBase({ run, runId }, { store: this.#store, network, onWait }, this.#abort.signal);
    await this.#openSession(run, graph).catch((error: unknown) => this.#recover(error, run, graph));
    this.#remember();
  }

  #checkInvitation(run: RunConfig): void {
    const bytes = this.#store.getSetting(invitationSetting);
    if (!bytes) return;
    const invitation = parseInvitation(bytes);
    const problem =
      invitation.guest === this.id
        ? checkInvitation(invitation, run, this.#runId, verifySignature)
        : `invitation for ${invitation.guest}`;
    if (problem)
      throw new PeerError(`expected an invitation of this run for ${this.id}, got an ${problem}`, {
        code: 'bad-invitation',
      });
  }

  async #openSession(run: RunConfig, graph: Uint8Array): Promise<void> {
    if (this.#store.isRestored) this.#renewVoteKey('restored');
    const openedMs = performance.now();
    const session = await Session.open(
      {
        run,
        runId: this.#runId,
        graph,
        // A device that ended the engine twice is not tried a third time.
        config: this.#restarts > 1 ? { ...this.#config, device: 'cpu' } : this.#config,
        role: run.founders.includes(this.id) ? 'member' : this.#config.role,
        invitation: this.#store.getSetting(invitationSetting),
        base: this.#base,
      },
      {
        store: this.#store,
        network: this.#network as Network,
        onEvent: this.#onEvent,
        onFailure: (error) => {
          if (performance.now() - openedMs > engineSteadyMs) this.#restarts = 0;
          this.#recover(error, run, graph).catch((failure: unknown) => this.#fail(failure));
        },
      },
    );
    if (this.#abort.signal.aborted) await session.stop();
    else this.#session = session;
    if (this.#leaving) session.leave();
    this.#loopDelay.reset();
  }

  #renewVoteKey(reason: 'restored' | 'forgotten'): void {
    this.#store.renewVoteKey();
    this.#renewals += 1;
    this.#onEvent({ kind: 'vote-key-renewed', reason });
  }

  /**
   * An engine that died is started again from the store, and so is a replica that lacks some of its votes, with a new
   * vote key; any other failure, or too many, ends the peer.
   */
  async #recover(error: unknown, run: RunConfig, graph: Uint8Array): Promise<void> {
    this.#session = undefined;
    const { code, message } = error as Error & { readonly code?: string };
    if (code === 'forgotten') {
      const waitMs = renewVoteKeyMs * (renewVoteKeyGrowth ** this.#renewals - 1);
      await pause(Math.min(renewVoteKeyMaxMs, waitMs), this.#abort.signal);
      this.#renewVoteKey('forgotten');
    } else {
      this.#restarts += 1;
      if (code !== 'engine-died' || this.#restarts > engineRestartsMax) throw error;
      this.#onEvent({ kind: 'engine-restarted', reason: message });
      await pause(1_000 * this.#restarts, this.#abort.signal);
    }
    await this.#openSession(run, graph).catch((again: unknown) => this.#recover(again, run, graph));
  }

  /** What was interrupted by `stop` is no failure. */
  #fail(error: unknown): void {
    if (!this.#abort.signal.aborted) this.#finish.reject(error);
  }

  #peerChanged(peer: PeerId, kind: 'connected' | 'disconnected'): void {
    this.#onEvent({ kind, peer });
    this.#session?.peerChanged(peer, kind);
  }

  async #tick(): Promise<void> {
    const status = this.status();
    this.#onEvent({ kind: 'status', status });
    if (performance.now() - this.#statusSavedMs > saveStatusEveryMs) {
      this.#statusSavedMs = performance.now();
      saveStatus(this.#store, status);
    }
    if (performance.now() - this.#engineMemoryMs < engineMemoryEveryMs) return;
    this.#engineMemoryMs = performance.now();
    this.#engineMemory = (await this.#session?.engineMemory().catch(() => 0)) ?? 0;
  }

  #saveAddresses(): void {
    saveAddresses(this.#store, { own: this.addresses(), known: this.#network?.knownAddresses() ?? [] });
  }

  #saveAddressesOrFail(): void {
    try {
      this.#saveAddresses();
    } catch (error) {
      this.#fail(error);
    }
  }

  async #linger(): Promise<void> {
    try {
      await pause(lingerMs, this.#abort.signal);
      this.#finish.resolve();
    } catch {
      this.#finish.resolve();
    }
  }

  async #stop(): Promise<void> {
    this.#abort.abort();
    for (const interval of this.#intervals) clearInterval(interval);
    this.#loopDelay.stop();
    if (this.#session) saveStatus(this.#store, this.status());
    await this.#session?.stop();
    this.#saveAddresses();
    await this.#network?.stop();
    this.#store.close();
    this.#finish.resolve();
  }
}
