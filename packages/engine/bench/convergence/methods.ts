/** How peers become one model: data-parallel, DiLoCo, ours, and each alone. */
import { createRandom, digestOfCid, runIdOf } from '@murmuration/base';
import { announcementBytes } from '../../../delta/bench/announcement.ts';
import { executionOf, lowerMedian } from '../../../protocol/src/weights.ts';
import { applyBlock, settleBlock } from '../../src/head.ts';
import type { EncodedDelta } from '../../src/index.ts';
import { nameVector } from '../../src/names.ts';
import { type Method, peerOf, roundsOf, type TrainingPlan } from './plan.ts';
import { blockAt, type Trainee, type World } from './world.ts';

/** What a method has done after some inner steps of each peer. */
export interface Standing {
  readonly steps: number;
  /** Of all peers. */
  readonly tokens: number;
  /** Sent by a peer, in the mean. */
  readonly bytes: number;
  /** The models: the common one, or one per peer. */
  readonly models: readonly Float32Array[];
}

type Observe = (standing: Standing) => Promise<void>;

/** The deltas that a method sends are bytes of float32. */
const floatBytes = Float32Array.BYTES_PER_ELEMENT;
/** Of the others' pace, what the slow peer does. */
const slowShare = 0.1;
const dropProbability = 0.5;
/** Rounds that a peer trains before its first contribution, when it comes late. */
const warmupRounds = 2;

const tokensOf = ({ batch, context, peers }: TrainingPlan, steps: number): number =>
  batch * context * peers * steps;

const allOf = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

const createPeers = (world: World): Promise<Trainee[]> =>
  Promise.all(allOf(world.plan.peers).map((index) => world.createTrainee(index, [index])));

/** Rounds of the plan with their steps; the last one is shorter when the steps are no multiple. */
function* roundsAndSteps(plan: TrainingPlan): Generator<{ round: number; steps: number; done: number }> {
  for (let round = 0, done = 0; round < roundsOf(plan); round++) {
    const steps = Math.min(plan.roundSteps, plan.steps - done);
    done += steps;
    yield { round, steps, done };
  }
}

/** One optimizer that averages a micro-batch of every peer; a peer sends its gradient in every step. */
async function trainInParallel(world: World, observe: Observe): Promise<void> {
  const { plan } = world;
  const trainee = await world.createTrainee(0, allOf(plan.peers));
  const { local } = trainee.head;
  for (const { round, steps, done } of roundsAndSteps(plan)) {
    await trainee.train(steps, round);
    const bytes = done * local.length * floatBytes;
    await observe({ steps: done, tokens: tokensOf(plan, done), bytes, models: [local] });
  }
}

/**
 * DiLoCo (Douillard et al. 2023): the mean of θ − θ_local in float32, Nesterov's momentum outside. A peer sends its
 * difference in every round.
 */
async function trainDiLoCo(world: World, observe: Observe): Promise<void> {
  const { plan, setting } = world;
  const trainees = await createPeers(world);
  const theta = setting.theta.slice();
  const velocity = new Float32Array(theta.length);
  const { outerStep, outerMomentum } = plan;
  for (const { round, steps, done } of roundsAndSteps(plan)) {
    for (const trainee of trainees) await trainee.train(steps, round);
    for (let i = 0; i < theta.length; i++) {
      const before = theta[i] as number;
      const difference =
        trainees.reduce((sum, { head }) => sum + before - (head.local[i] as number), 0) / trainees.length;
      const moved = outerMomentum * (velocity[i] as number) + difference;
      velocity[i] = moved;
      theta[i] = before - outerStep * (difference + outerMomentum * moved);
    }
    for (const { head } of trainees) head.local.set(theta);
    const bytes = (round + 1) * theta.length * floatBytes;
    await observe({ steps: done, tokens: tokensOf(plan, done), bytes, models: [theta] });
  }
}

async function trainAlone(world: World, observe: Observe): Promise<void> {
  const { plan } = world;
  const trainees = await createPeers(world);
  const models = trainees.map(({ head }) => head.local);
  for (const { round, steps, done } of roundsAndSteps(plan)) {
    for (const trainee of trainees) await trainee.train(steps, round);
    await observe({ steps: done, tokens: tokensOf(plan, done), bytes: 0, models });
  }
}

/** A delta that is neither in a block nor too old. */
interface Offer {
  readonly trainee: Trainee;
  readonly delta: EncodedDelta;
  /** Counts its author's deltas from 0. */
  readonly sequence: number;
}

/** Whether an offer reaches the block of a height. */
function createFate({ disturbance, seed }: TrainingPlan): (offer: Offer, height: number) => boolean {
  const random = createRandom(`fate ${seed}`);
  switch (disturbance) {
    case 'dropped':
      return () => random.unit() >= dropProbability;
    case 'late':
      return ({ trainee, sequence, delta }, height) =>
        trainee.index > 0 || sequence % 2 === 0 || delta.baseHeight < height - 1;
    default:
      return () => true;
  }
}

/** The execution of the block of a height, as every voter computes it. */
function executionFor(world: World, offers: readonly Offer[], height: number, norms: readonly number[]) {
  const { run } = world.setting;
  const members = allOf(world.plan.peers).map(peerOf);
  const contributions = offers.map(({ trainee, delta, sequence }) => ({
    ...delta,
    ...{ cid: delta.blob, author: peerOf(trainee.index), sequence, blobBytes: delta.bytes.length },
  }));
  contributions.sort((a, b) => (a.cid < b.cid ? -1 : 1));
  return executionOf({ run, members, norms }, blockAt(height - 1), height, contributions);
}

/** Makes the block of a height out of what reaches it, and brings every peer there. */
function makeBlock(
  world: World,
  trainees: readonly Trainee[],
  offers: readonly Offer[],
  height: number,
  norms: readonly number[],
): void {
  const { executor, setting } = world;
  const { feedback } = setting.run.delta;
  const execution = executionFor(world, offers, height, norms);
  const blobs = new Map(offers.map(({ delta }) => [delta.blob, delta.bytes]));
  const [first] = trainees as [Trainee];
  const { after } = executor.execute(first.head, execution, blobs);
  const position = { block: blockAt(height), height };
  for (const { index, head } of trainees) {
    const own = execution.inputs.find(({ author }) => author === peerOf(index));
    const bytes = own && blobs.get(own.blob);
    const inclusion = own &&
      bytes && {
        ...{ blob: own.blob, clip: own.clip },
        decoded: executor.decode(own.blob, bytes, own.author, own.base),
      };
    applyBlock(head, { position, after, ...(inclusion ? { own: inclusion } : {}) }, feedback);
    settleBlock(head, position.block);
  }
}

/** Inner steps of a peer in a round, and how many it must have taken before its first delta. */
function paceOf({ disturbance, roundSteps }: TrainingPlan, rounds: number) {
  const half = Math.floor(rounds / 2);
  return (index: number, round: number, steps: number): { steps: number; due: number } => {
    if (index === 0 && disturbance === 'slow')
      return { steps: Math.max(1, Math.round(steps * slowShare)), due: roundSteps };
    if (index === 0 && disturbance === 'joins') {
      const isWarm = round >= half + warmupRounds;
      return { steps: round < half ? 0 : steps, due: isWarm ? 1 : Number.POSITIVE_INFINITY };
    }
    return { steps, due: 1 };
  };
}

/** Blocks whose norms the clip looks at: the protocol's. */
const normHistory = 16;

/** What a peer sends for a delta: the blob, its announcement, and what frames both. */
function wireBytesOf({ setting }: World, index: number, delta: EncodedDelta): number {
  const { length: blobBytes } = delta.bytes;
  return (
    blobBytes + announcementBytes(digestOfCid(runIdOf(setting.run)), peerOf(index), { ...delta, blobBytes })
  );
}

async function trainOurs(world: World, observe: Observe): Promise<void> {
  const { plan, setting } = world;
  const { lateHeights } = setting.run;
  const trainees = await createPeers(world);
  const reaches = createFate(plan);
  const paceAt = paceOf(plan, roundsOf(plan));
  const sequences = trainees.map(() => 0);
  let offers: Offer[] = [];
  let norms: readonly number[] = [];
  let bytes = 0;
  let tokens = 0;
  for (const { round, steps, done } of roundsAndSteps(plan)) {
    const height = round + 1;
    const overlap = Math.min(plan.overlapSteps, plan.roundSteps - 1);
    for (const trainee of trainees) {
      const pace = paceAt(trainee.index, round, steps);
      const before = Math.max(0, round === 0 ? pace.steps : pace.steps - overlap);
      await trainee.train(before, round);
      const { head, counters, index } = trainee;
      if (!head.pending && counters.stepsSinceEncode >= pace.due) {
        const delta = trainee.encode();
        offers.push({ trainee, delta, sequence: sequences[index] as number });
        sequences[index] = (sequences[index] as number) + 1;
        bytes += wireBytesOf(world, index, delta) / trainees.length;
      }
      await trainee.train(Math.min(overlap, pace.steps), round);
      tokens += pace.steps * plan.batch * plan.context;
    }
    const taken = offers.filter((offer) => reaches(offer, height));
    makeBlock(world, trainees, taken, height, norms);
    const norm = lowerMedian(taken.map(({ delta }) => delta.norm));
    if (norm !== undefined) norms = [...norms, norm].slice(-normHistory);
    offers = offers.filter(({ delta }) => !taken.some((each) => each.delta === delta));
    for (const { trainee, delta } of offers)
      if (delta.baseHeight <= height - lateHeights) trainee.head.pending = undefined;
    offers = offers.filter(({ delta }) => delta.baseHeight > height - lateHeights);
    const [first] = trainees as [Trainee];
    await observe({ steps: done, tokens, bytes, models: [first.head.parameters] });
  }
}

const methods: Readonly<Record<Method, (world: World, observe: Observe) => Promise<void>>> = {
  'data-parallel': trainInParallel,
  diloco: trainDiLoCo,
  ours: trainOurs,
  alone: trainAlone,
};

/** Trains by the plan's method, and shows where it stands after every round. */
export const trainBy = (world: World, observe: Observe): Promise<void> =>
  methods[world.plan.method](world, observe);

/** The name of what the common model is: equal on every peer. */
export const rootOf = (parameters: Float32Array): string => nameVector(parameters).cid;
