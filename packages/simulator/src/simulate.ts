/**
 * Runs one scenario to its end and tells what happened. Equal scenarios give equal outcomes.
 *
 * A world orders the events of everybody in virtual time. Peers own a disk and, while they run, a process with the
 * production replica and a trainer; a network carries their messages; faults are planned into the world before it
 * starts, churn as rounds are certified. A judge watches. The run ends when every honest peer that is still there says
 * so, when something is broken, or at the scenario's limit.
 */
import { createRandom, type PeerId, type Random, runDigest, runIdOf } from '@murmuration/base';
import { deltaLimits } from '@murmuration/delta';
import { genesisBlockId } from '@murmuration/protocol';
import { beginAtCheckpoint } from './checkpoint.ts';
import { planChurn } from './churn.ts';
import { createDeltaReader } from './delta-reader.ts';
import { planFault } from './faults.ts';
import { createJudge, type Judge, toHex } from './judge.ts';
import { createKeys } from './keys.ts';
import { createLiar } from './liars.ts';
import type { Mutant } from './mutant.ts';
import { createNetwork } from './network.ts';
import type { Outcome } from './outcome.ts';
import { createPeer, type Setting, type SimPeer } from './peer.ts';
import { drawVector, firstParameters, invite, runOf } from './run.ts';
import type { Scenario } from './scenario.ts';
import { createTrace } from './trace.ts';
import { createTraffic, type Traffic } from './traffic.ts';
import { distance, firstCheckpoint } from './trainer.ts';
import { createWorld } from './world.ts';

export interface SimulateOptions {
  /** Break the honest peers' build. */
  readonly mutant?: Mutant;
  /** Note what happens, for the drawing. */
  readonly isTraced?: boolean;
  /** The run is left when so many blocks are final; of its end nothing is asked then. */
  readonly blocks?: number;
  /** At the end, while all processes run; `release` ends them and leaves nothing of them in memory. */
  atEnd?(release: () => void): void;
}

interface Simulation {
  readonly setting: Setting;
  readonly peers: SimPeer[];
  readonly traffic: Traffic;
  readonly random: Random;
  /** Names of all who do not lie; grows with churn. */
  readonly honest: Set<PeerId>;
}

/** Peers' targets lie so far around a common one. */
const targetSpread = 0.5;
/** Founders start one after the other, so many ms apart. */
const startStepMs = 1;

function createSimulation(scenario: Scenario, { mutant, isTraced }: SimulateOptions): Simulation {
  const random = createRandom(scenario.seed);
  const keys = createKeys(scenario.seed);
  const count = scenario.members + scenario.guests.length;
  const ids = Array.from({ length: count }, (_, index) => keys.idOf(index));
  const run = runOf(scenario, ids.slice(0, scenario.members));
  const runId = runIdOf(run);
  const world = createWorld();
  const honest = new Set<PeerId>();
  const judge = createJudge(scenario, world, keys, honest);
  const traffic = createTraffic();
  const peers: SimPeer[] = [];
  const network = createNetwork(scenario, { world, random: random.fork('network'), judge, traffic, peers });
  const stand = { block: genesisBlockId(runId), height: 0, tensors: run.initial.tensors };
  const setting: Setting = {
    scenario,
    run,
    runId,
    runDigest: runDigest(runId),
    world,
    judge,
    keys,
    network,
    traffic,
    trace: isTraced ? createTrace(world) : undefined,
    reader: createDeltaReader(runDigest(runId), deltaLimits(run)),
    mutant,
    genesis: firstCheckpoint(stand, firstParameters(scenario)),
    ids,
  };
  return { setting, peers, traffic, random, honest };
}

/** Where a peer's data pull θ: near what everybody's have in common. */
function targetOf({ setting, random }: Simulation, index: number): Float32Array {
  const length = setting.scenario.parameters;
  const common = drawVector(length, random.fork('common target'));
  const own = drawVector(length, random.fork(`target ${index}`));
  return common.map((value, i) => value + targetSpread * (own[i] as number));
}

/** Adds a peer that has not started yet. */
function addPeer(
  simulation: Simulation,
  peer: { readonly id: PeerId; readonly index: number; readonly isInvited: boolean },
  reaches?: (index: number) => boolean,
): SimPeer {
  const { setting, peers, random } = simulation;
  const { id, index, isInvited } = peer;
  const { scenario, keys, runId, run } = setting;
  const name = reaches ? `peer ${index} twin ${peers.length}` : `peer ${index}`;
  const plan = scenario.liars.find((liar) => liar.peer === index);
  const tools = { setting, index, id, random: random.fork(`lies of ${index}`) };
  const made = createPeer(
    {
      id,
      index,
      role: index < scenario.members ? 'member' : 'guest',
      invitation: isInvited ? invite(keys, runId, run, id) : undefined,
      random: random.fork(name),
      target: targetOf(simulation, index),
      liar: plan && createLiar(plan.lies, tools),
      reaches,
    },
    setting,
  );
  peers.push(made);
  if (made.isHonest) simulation.honest.add(id);
  return made;
}

/** Adds founders and guests, which start at their times; a twin is two processes, each with its part of the network. */
function addScenarioPeers(simulation: Simulation): void {
  const { setting } = simulation;
  const { scenario, ids, world } = setting;
  for (const [index, id] of ids.entries()) {
    const guest = scenario.guests[index - scenario.members];
    const isInvited = guest !== undefined && !guest.uninvited;
    const atMs = guest?.atMs ?? index * startStepMs;
    const twin = scenario.liars.find(({ peer }) => peer === index)?.lies.find((lie) => lie.kind === 'twin');
    const reaches = twin
      ? [true, false].map((inside) => (other: number) => twin.side.includes(other) === inside)
      : [undefined];
    for (const reach of reaches) {
      const peer = addPeer(simulation, { id, index, isInvited }, reach);
      world.after(atMs, () => {
        if (guest?.checkpoint) beginAtCheckpoint(peer, setting, simulation.peers);
        peer.start();
      });
    }
  }
}

/** Complains of a peer that should be at the run's end and is not, and of one that is on another ledger there. */
function watchEnd(peers: readonly SimPeer[], judge: Judge): void {
  const roots = new Set<string>();
  const broken = peers.some(({ hasEnded }) => hasEnded) ? 'G7' : 'G3';
  for (const { index, life, hasEnded } of peers) {
    const view = life?.replica.view;
    const where = view
      ? `${view.phase}, final ${view.final.height}, head ${view.head.height}, epoch ${view.epoch}, view ${view.view}`
      : 'down';
    if (!hasEnded) judge.complain(`${broken}: peer ${index} has not ended: ${where}`);
    else if (view) roots.add(toHex(view.final.stateRoot));
  }
  if (roots.size > 1) judge.complain(`G7: peers ended on ${roots.size} ledgers`);
}

/** What can be said at the end only, each if all was well before. */
function weighEnd({ setting: { judge }, peers }: Simulation, remaining: readonly SimPeer[]): void {
  const honest = peers.filter(({ isHonest }) => isHonest);
  if (judge.problems.length === 0) watchEnd(remaining, judge);
  const final = honest.find(({ hasEnded }) => hasEnded)?.life?.replica.view.final.block;
  if (judge.problems.length === 0 && final) judge.work.weigh(final, honest);
  if (judge.problems.length === 0) judge.convictions.weigh(judge.convicted, judge.finalAtMs.length - 1);
}

function outcomeOf({ setting, peers, traffic }: Simulation): Outcome {
  const { scenario, judge, world, trace, genesis } = setting;
  const { work, commit } = judge;
  const honest = peers.filter(({ isHonest }) => isHonest);
  const furthest = honest.reduce((a, b) => (b.disk.ledger.length > a.disk.ledger.length ? b : a));
  const founders = peers.filter(({ index, isHonest }) => isHonest && index < scenario.members);
  const middle = genesis.theta.map(
    (_, i) => founders.reduce((sum, { target }) => sum + (target[i] as number), 0) / founders.length,
  );
  const theta = furthest.life?.trainer.theta ?? furthest.disk.checkpoint.theta;
  const convicted = (isMeant: (by: ReadonlySet<number>) => boolean): number[] => {
    const found = peers.filter(
      ({ id }) => isMeant(judge.convicted.get(id) ?? new Set()) && judge.convicted.has(id),
    );
    return [...new Set(found.map(({ index }) => index))];
  };
  return {
    scenario,
    problems: judge.problems,
    convicted: convicted(() => true),
    convictedByAll: convicted((by) =>
      honest.every(({ index, hasEnded }) => !hasEnded || by.has(index) || index >= scenario.members),
    ),
    falseConvictions: judge.falseConvictions,
    convictionsDue: judge.convictions.due.size,
    elapsedMs: world.now,
    finalAtMs: judge.finalAtMs,
    commitMs: commit.commitMs,
    tokensTrained: work.tokensTrained,
    tokensCertified: work.tokensCertified,
    expired: work.expiredCount,
    pieces: work.balance?.pieces ?? 0,
    disputed: work.balance?.disputed ?? 0,
    skippedViews: judge.skippedViews,
    most: judge.bounds.most,
    performed: judge.counts,
    distance: [distance(genesis.theta, middle), distance(theta, middle)],
    members: Math.max(0, ...honest.map(({ life }) => life?.replica.view.members.length ?? 0)),
    sent: traffic.kinds,
    sentUntil: traffic.marks,
    happenings: trace?.happenings ?? [],
    peers: peers.map((peer) => {
      const view = peer.life?.replica.view;
      return {
        ...traffic.of(peer),
        peer: peer.id,
        index: peer.index,
        isHonest: peer.isHonest,
        height: view?.final.height ?? peer.disk.ledger.length,
        stateRoot: view ? toHex(view.final.stateRoot) : '',
        phase: view?.phase ?? 'down',
        effects: peer.effects,
        published: peer.published,
      };
    }),
  };
}

export function simulate(scenario: Scenario, options: SimulateOptions = {}): Outcome {
  const simulation = createSimulation(scenario, options);
  const { setting, peers, random } = simulation;
  const { world, judge, keys } = setting;
  addScenarioPeers(simulation);
  for (const fault of scenario.faults) planFault(fault, setting, peers);
  const enter = (): SimPeer => {
    const index = peers.length;
    return addPeer(simulation, { id: keys.idOf(index), index, isInvited: false });
  };
  const rounds = scenario.churn.map((churn) =>
    planChurn(churn, { setting, peers, random: random.fork(`churn of ${churn.who}`), enter }),
  );
  const remaining = (): SimPeer[] =>
    peers.filter((peer) => peer.isHonest && !peer.isGone && !scenario.excused.includes(peer.index));
  const { blocks = Number.POSITIVE_INFINITY } = options;
  const isLeft = (): boolean => judge.finalAtMs.length > blocks;
  let seen = 0;
  let awaited: SimPeer | undefined;
  const isOver = (): boolean => {
    if (!awaited || awaited.hasEnded || awaited.isGone)
      awaited = remaining().find(({ hasEnded }) => !hasEnded);
    return awaited === undefined;
  };
  world.run(scenario.limitMs, () => {
    for (; seen < judge.finalAtMs.length; seen++) {
      setting.traffic.mark();
      for (const turn of rounds) turn(seen);
    }
    return judge.problems.length > 0 || isLeft() || isOver();
  });
  if (!isLeft()) weighEnd(simulation, remaining());
  const outcome = outcomeOf(simulation);
  options.atEnd?.(() => {
    for (const peer of peers) peer.kill();
    world.clear();
  });
  return outcome;
}
