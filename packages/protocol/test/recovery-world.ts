/**
 * Peers in virtual time, with delays, partitions and crashes from one seed; and an engine whose θ says which pieces of
 * work are in it, and how often. A judge watches what is settled and signed.
 */
import { type Cid, createRandom, type PeerId, type RunConfig, runIdOf } from '@murmuration/base';
import type { Block, Effect } from '@murmuration/protocol';
import { createKey, createRun } from './harness.ts';
import { type Surroundings, WorldPeer } from './recovery-peer.ts';
import { createSignedWatch } from './signed-watch.ts';
import { add, undone, type Work } from './work-engine.ts';

export type { WorldPeer } from './recovery-peer.ts';

export interface World {
  readonly run: RunConfig;
  readonly runId: Cid;
  readonly peers: readonly WorldPeer[];
  readonly problems: string[];
  now: number;
  /** Whether two peers reach each other. */
  connected: (a: WorldPeer, b: WorldPeer) => boolean;
  /** After an effect of a peer: whether its process ends here. */
  crashes: (peer: WorldPeer, effect: Effect) => boolean;
  wait(ms: number): void;
  /** Waits until this holds; complains when it does not within the time. */
  until(what: string, condition: () => boolean, ms: number): void;
  /** Everybody's connections again, after they changed. */
  meet(): void;
  /** Regular blocks that were settled, by height. */
  readonly certified: ReadonlyMap<number, Block>;
  /** How often each piece of work is in θ and in everybody's local parameters beyond it. */
  balance(): ReadonlyMap<number, number>;
}

export interface WorldInit {
  readonly seed: string;
  readonly members: number;
  readonly guests?: number;
  readonly rounds?: number;
  readonly loss?: number;
  readonly stallMs?: number;
  /** The shortest time that a round's training takes; the longest is twice that. */
  readonly trainingMs?: number;
  readonly quorum?: 'crash' | 'byzantine';
}

const problemsMax = 20;
const stepMs = 250;

export const idsOf = (count: number): PeerId[] =>
  Array.from({ length: count }, (_, index) => createKey(index + 1).peer).sort();

function runOf({ quorum = 'crash', members, rounds = 400, stallMs = 60_000 }: WorldInit, ids: PeerId[]) {
  return createRun(ids.slice(0, members), {
    rounds,
    snapshotEvery: 65_536,
    quorum,
    membership: {
      votersMax: 64,
      earnedAfter: 0,
      silentAfter: 0,
      stallMs: quorum === 'crash' ? stallMs : 0,
    },
    round: { steps: 5, overlapSteps: 5, graceMs: 1_000, durationMaxMs: 4_000, viewTimeoutMs: 1_500 },
  });
}

interface Item {
  readonly at: number;
  readonly act: () => void;
}

/** What is to happen, in the order of its times and, of equal ones, of its making. */
function createAgenda() {
  const items: Item[] = [];
  return {
    add(at: number, act: () => void): void {
      let low = 0;
      let high = items.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((items[middle] as Item).at <= at) low = middle + 1;
        else high = middle;
      }
      items.splice(low, 0, { at, act });
    },
    next: (end: number): Item | undefined => (items[0] && items[0].at <= end ? items.shift() : undefined),
  };
}

function balanceOf(peers: readonly WorldPeer[]): Work {
  const states = peers.map(({ engine }) => undone(engine));
  let sum: Work = states[0]?.theta ?? new Map();
  for (const { local, theta } of states) sum = add(add(sum, local), theta, -1);
  return sum;
}

function meet({ peers, connected }: World): void {
  for (const a of peers)
    for (const b of peers)
      if (a !== b)
        a.handle({ kind: connected(a, b) && b.replica ? 'connected' : 'disconnected', peer: b.id });
}

export function createWorld(init: WorldInit): World {
  const random = createRandom(init.seed);
  const ids = idsOf(init.members + (init.guests ?? 0));
  const run = runOf(init, ids);
  const runId = runIdOf(run);
  const agenda = createAgenda();
  const peers: WorldPeer[] = [];
  const problems: string[] = [];
  const complain = (problem: string): void => {
    if (problems.length < problemsMax) problems.push(`${problem} (at ${world.now})`);
  };
  const certified = new Map<number, Block>();
  const world: World = {
    run,
    runId,
    peers,
    problems,
    now: 1_000,
    connected: () => true,
    crashes: () => false,
    certified,
    wait(ms) {
      const end = world.now + ms;
      for (let item = agenda.next(end); item; item = agenda.next(end)) {
        world.now = item.at;
        item.act();
      }
      world.now = end;
    },
    until(what, condition, ms) {
      const end = world.now + ms;
      while (!condition() && world.now < end) world.wait(stepMs);
      if (!condition()) complain(`not within ${ms} ms: ${what}`);
    },
    meet: () => meet(world),
    balance: () => balanceOf(peers),
  };
  let units = 0;
  const surroundings: Surroundings = {
    ...{ run, runId, random, peers, complain, certified },
    loss: init.loss ?? 0,
    trainingMs: init.trainingMs ?? 300,
    works: new Map(),
    lists: new Map(),
    contributionsAt: new Map(),
    get now() {
      return world.now;
    },
    connected: (a, b) => world.connected(a, b),
    crashes: (peer, effect) => world.crashes(peer, effect),
    signed: createSignedWatch(complain),
    after: (ms, act) => agenda.add(world.now + ms, act),
    delay: () => 5 + random.below(26),
    nextUnit: () => units++,
  };
  for (const [index, id] of ids.entries())
    peers.push(new WorldPeer(id, index, index < init.members ? 'member' : 'guest', surroundings));
  return world;
}
