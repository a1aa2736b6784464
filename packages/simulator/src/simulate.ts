/** Runs one scenario to its end and tells what happened. Equal scenarios give equal outcomes. */
import {
  type Cid,
  cidOf,
  createRandom,
  exampleRun,
  type PeerId,
  parseRunConfig,
  type Random,
  type RunConfig,
  runIdOf,
} from '@murmuration/base';
import { createInvitation, signInvitation } from '@murmuration/protocol';
import { fromString } from 'uint8arrays/from-string';
import { createJudge, type Judge } from './judge.ts';
import { createKeys, type Keys } from './keys.ts';
import type { Fault, Outcome, PeerOutcome, Scenario } from './scenario.ts';
import { createSimPeer, type SimNetwork, type SimPeer, type SimPeerComponents } from './sim-peer.ts';
import { createWorld, type World } from './world.ts';

/** The run that a scenario's peers train; only what the protocol reads matters. */
export function runOf(scenario: Scenario, founders: readonly PeerId[]): RunConfig {
  const name = cidOf(fromString(scenario.seed));
  return parseRunConfig({
    ...exampleRun,
    name: 'simulated',
    model: { graph: name, bytes: 1 },
    initial: { seed: scenario.seed.slice(0, 64), tensors: name, parameters: 1 },
    round: { steps: 5, overlapSteps: 5, graceMs: 1_000, durationMaxMs: 10_000, viewTimeoutMs: 1_500 },
    aggregation: { ...exampleRun.aggregation, contributionsMax: 64 },
    quorum: scenario.quorum,
    founders: [...founders],
    invitationSignatures: Math.min(2, founders.length),
    snapshotEvery: scenario.snapshotEvery,
    rounds: scenario.rounds,
  });
}

function invite(keys: Keys, runId: Cid, run: RunConfig, guest: PeerId): Uint8Array {
  const unsigned = createInvitation({ runId, guest, expires: run.rounds });
  return run.founders
    .slice(0, run.invitationSignatures)
    .reduce((bytes, founder) => signInvitation(bytes, founder, keys.componentsOf(founder).sign), unsigned);
}

function createNetwork(
  scenario: Scenario,
  world: World,
  random: Random,
  peers: readonly SimPeer[],
): SimNetwork {
  const separated = (a: SimPeer, b: SimPeer): boolean =>
    world.now < Math.max(a.aloneUntil, b.aloneUntil) ||
    scenario.faults.some(
      (fault) =>
        fault.kind === 'partition' &&
        world.now >= fault.fromMs &&
        world.now < fault.untilMs &&
        fault.side.includes(peers.indexOf(a)) !== fault.side.includes(peers.indexOf(b)),
    );
  const chance = (probability: number): boolean => random.unit() < probability;
  const delay = (): number => {
    const [low, high] = scenario.latencyMs;
    return low + random.below(high - low + 1);
  };
  const slowness = (peer: SimPeer): number => scenario.slowMs[peers.indexOf(peer)] ?? 0;
  return {
    delay,
    publish(from, bytes) {
      for (const to of peers) {
        if (to === from || separated(from, to)) continue;
        const copies = (chance(scenario.loss) ? 0 : 1) + (chance(scenario.duplication) ? 1 : 0);
        for (let copy = 0; copy < copies; copy++)
          world.after(delay() + slowness(from) + slowness(to), () => {
            if (to.isUp && world.now >= to.aloneUntil) to.handle({ kind: 'message', from: from.id, bytes });
          });
      }
    },
    reach(from, to) {
      const up = to
        .map((id) => peers.find((peer) => peer.id === id))
        .filter((peer) => peer?.isUp && !separated(from, peer));
      return up[0];
    },
    join(peer) {
      for (const other of peers) {
        if (other === peer || !other.isUp || !peer.isUp || separated(other, peer)) continue;
        peer.handle({ kind: 'connected', peer: other.id });
        other.handle({ kind: 'connected', peer: peer.id });
      }
    },
  };
}

function planFault(fault: Fault, world: World, peers: readonly SimPeer[], network: SimNetwork): void {
  if (fault.kind === 'partition') {
    world.after(fault.untilMs, () => peers.forEach(network.join));
    return;
  }
  const peer = peers[fault.peer] as SimPeer;
  if (fault.kind === 'crash') {
    peer.crashAt = { effect: fault.effect, downMs: fault.downMs, aloneMs: fault.aloneMs ?? 0 };
    return;
  }
  world.after(fault.fromMs, () => peer.kill());
  if (fault.untilMs !== undefined) world.after(fault.untilMs, () => peer.boot());
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** Everybody who takes part, founders first; nobody is started yet. */
function createPeers(
  scenario: Scenario,
  random: Random,
  { world, judge, keys }: Omit<SimPeerComponents, 'network'>,
): { readonly peers: readonly SimPeer[]; readonly network: SimNetwork } {
  const ids = Array.from({ length: scenario.members + scenario.guests.length }, (_, index) =>
    keys.idOf(index),
  );
  const run = runOf(scenario, ids.slice(0, scenario.members));
  const runId = runIdOf(run);
  const peers: SimPeer[] = [];
  const network = createNetwork(scenario, world, random.fork('network'), peers);
  for (const [index, id] of ids.entries()) {
    const isGuest = index >= scenario.members;
    const init = {
      id,
      role: isGuest ? ('guest' as const) : ('member' as const),
      run,
      runId,
      scenario,
      random: random.fork(`peer ${index}`),
      invitation: isGuest ? invite(keys, runId, run, id) : undefined,
    };
    peers.push(createSimPeer(init, { world, judge, keys, network }));
  }
  return { peers, network };
}

function planStart(peer: SimPeer, atMs: number, world: World, network: SimNetwork): void {
  const { boot } = peer;
  peer.boot = () => {
    boot();
    world.after(5, () => network.join(peer));
  };
  world.after(atMs, () => peer.boot());
}

const hasEnded = (peer: SimPeer): boolean => peer.replica?.view.phase === 'ended';

/** Complains of a peer that the faults left alive and that is not at the run's end. */
function watchEnd(peer: SimPeer, judge: Judge): void {
  const view = peer.replica?.view;
  const where = view
    ? `${view.phase}, final ${view.final.height}, head ${view.head.height}, view ${view.view}`
    : 'down';
  if (!hasEnded(peer)) judge.complain(`G3: ${peer.id} has not ended: ${where}`);
}

const outcomeOf = (peer: SimPeer): PeerOutcome => ({
  peer: peer.id,
  height: peer.replica?.view.final.height ?? -1,
  stateRoot: peer.replica ? hex(peer.replica.view.final.stateRoot) : '',
  phase: peer.replica?.view.phase ?? 'down',
  effects: peer.effects,
  published: peer.publishedCount,
});

export function simulate(scenario: Scenario): Outcome {
  const world = createWorld();
  const judge = createJudge();
  const keys = createKeys(scenario.seed);
  const { peers, network } = createPeers(scenario, createRandom(scenario.seed), { world, judge, keys });
  peers.forEach((peer, index) => {
    planStart(peer, scenario.guests[index - scenario.members]?.atMs ?? index, world, network);
  });
  for (const fault of scenario.faults) planFault(fault, world, peers, network);
  const gone = new Set(
    scenario.faults
      .filter((fault) => fault.kind === 'away' && fault.untilMs === undefined)
      .map((fault) => (fault as { peer: number }).peer),
  );
  const remaining = peers.filter((_, index) => !gone.has(index));
  world.run(scenario.limitMs, () => judge.problems.length > 0 || remaining.every(hasEnded));
  for (const peer of remaining) watchEnd(peer, judge);
  return {
    scenario,
    problems: judge.problems,
    elapsedMs: world.now,
    finalAtMs: judge.finalAtMs,
    skippedViews: judge.skippedViews,
    performed: judge.counts,
    members: Math.max(0, ...peers.map((peer) => peer.replica?.view.roster.length ?? 0)),
    peers: peers.map(outcomeOf),
  };
}
