import { type Cid, type PeerId, type RunConfig, runDigest, unitOf } from '@murmuration/base';
import { createNetwork, type Network } from '@murmuration/network';
import { checkInvitation, parseInvitation } from '@murmuration/protocol';
import { openStore, type Store, verifySignature } from '@murmuration/store';
import { fromString as bytesOf } from 'uint8arrays/from-string';
import { toString as textOf } from 'uint8arrays/to-string';
import {
  engineRestartsMax,
  engineSteadyMs,
  lingerMs,
  saveAddressesEveryMs,
  saveStatusEveryMs,
  statusEveryMs,
} from './defaults.ts';
import { PeerError } from './errors.ts';
import { fetchRun } from './fetch-run.ts';
import { pause } from './fetch-until-served.ts';
import type { Peer, PeerComponents, PeerEvent, PeerInit, PeerStatus } from './index.ts';
import { type LoopDelay, measureLoopDelay } from './loop-delay.ts';
import { type PeerConfig, type PeerConfigInput, parsePeerConfig } from './peer-config.ts';
import { saveStatus } from './saved-status.ts';
import { Session } from './session.ts';

const addressesSetting = 'known-addresses';
const configSetting = 'peer-config';
const invitationSetting = 'invitation';

/** Starts a peer; resolves as soon as it listens. Everything after that is told by events. */
export async function createPeer(init: PeerInit, components: PeerComponents = {}): Promise<Peer> {
  const { directory, blobBytesMax } = parsePeerConfig(init.config);
  if (!init.runId) openStore({ directory, readOnly: true }).close();
  const store = openStore({ directory, blobBytesMax, ...(init.runId ? { runId: init.runId } : {}) });
  try {
    const { config, remember } = settledConfig(store, init.config);
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

/** Settings that are not given now are those of the last time; to be remembered once they have proved to work. */
function settledConfig(store: Store, given: PeerConfigInput): { config: PeerConfig; remember(): void } {
  const saved = store.getSetting(configSetting);
  const earlier = saved ? (JSON.parse(textOf(saved)) as Partial<PeerConfigInput>) : {};
  const settled = { ...earlier, ...given };
  return {
    config: parsePeerConfig(settled),
    remember: () => store.putSetting(configSetting, bytesOf(JSON.stringify(settled))),
  };
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
  #engineMemory = 0;
  #restarts = 0;
  #statusSavedMs = 0;
  #intervals: NodeJS.Timeout[] = [];
  #stopping: Promise<void> | undefined;

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
    const known = this.#store.getSetting(addressesSetting);
    this.#network = await createNetwork(
      {
        runId: this.#runId,
        seed: this.#store.identity.seed,
        listen,
        bootstrap,
        mdns,
        dht,
        knownAddresses: known ? (JSON.parse(textOf(known)) as string[]) : [],
      },
      {
        blobs: this.#store,
        ledger: this.#store,
        onMessage: (from, bytes) => this.#session?.receive(from, bytes) ?? 'ignore',
        onConnect: (peer) => this.#peerChanged(peer, 'connected'),
        onDisconnect: (peer) => this.#peerChanged(peer, 'disconnected'),
      },
    );
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
    const roster = view?.roster ?? [];
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
      members: roster.length,
      membersConnected: roster.filter((member) => member === this.id || connected.includes(member)).length,
      connected: connected.length,
      step: progress?.step ?? 0,
      loss: progress?.loss,
      tokensPerSecond: progress?.tokensPerSecond ?? 0,
      unit: this.#run ? unitOf(this.#run) : 'tokens',
      device: this.#session?.device,
      traffic: this.#network?.traffic() ?? { sent: 0, received: 0, byProtocol: {} },
      loopDelayP99Ms: this.#loopDelay.p99Ms(),
      memory: { peer: process.memoryUsage.rss(), engine: this.#engineMemory },
    };
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
    this.#loopDelay.reset();
  }

  /** An engine that died is started again from the store; any other failure, or too many, ends the peer. */
  async #recover(error: unknown, run: RunConfig, graph: Uint8Array): Promise<void> {
    this.#session = undefined;
    const died = (error as { code?: string }).code === 'engine-died';
    this.#restarts += 1;
    if (!died || this.#restarts > engineRestartsMax) throw error;
    this.#onEvent({ kind: 'engine-restarted', reason: (error as Error).message });
    await pause(1_000 * this.#restarts, this.#abort.signal);
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
    this.#engineMemory = (await this.#session?.engineMemory().catch(() => 0)) ?? 0;
  }

  #saveAddresses(): void {
    const addresses = this.#network?.knownAddresses() ?? [];
    if (addresses.length > 0) this.#store.putSetting(addressesSetting, bytesOf(JSON.stringify(addresses)));
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
