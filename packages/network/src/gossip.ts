/**
 * Gossip of one run: one topic, small signed messages, each judged once. A judgement costs a signature check, so only
 * a few run at a time; what waits is bounded in all and per sender, and what does not fit is ignored (its author
 * sends it again).
 */
import {
  type GossipSub,
  type GossipsubOpts,
  type Message,
  StrictSign,
  TopicValidatorResult,
} from '@libp2p/gossipsub';
import { createPeerScoreParams, createTopicScoreParams } from '@libp2p/gossipsub/score';
import type { PeerId as Libp2pPeerId } from '@libp2p/interface';
import { type PeerId, second } from '@murmuration/base';
import {
  gossipBytesMax,
  meshDegree,
  meshDegreeHigh,
  meshDegreeLow,
  type NetworkLimits,
  peersPerAddressMax,
  rejectMemoryMs,
  rejectWeight,
  scoreMemoryMs,
  topicPrefix,
} from './defaults.ts';
import { NetworkError } from './errors.ts';
import type { NetworkComponents, Verdict } from './index.ts';
import { plainBytes } from './plain-bytes.ts';

/** The one topic of a run. */
export const topicOf = (runId: string): string => `${topicPrefix}${runId}`;

const results: Readonly<Record<Verdict, TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
};

/** Decay per second after which 1 % is left when `memoryMs` have passed. */
const decayOver = (memoryMs: number): number => 0.01 ** (second / memoryMs);

/**
 * Settings of gossipsub for one topic. Rates of delivery are not scored: a run is quiet for minutes and then busy, and
 * a slow link is no fault. Rejected messages are. What we publish goes to neighbours only (at least `meshDegree`
 * peers, if there are as many) and not to everybody we are connected to: what matters is sent again until it has an
 * effect.
 */
export const gossipOptions = (topic: string): Partial<GossipsubOpts> => ({
  globalSignaturePolicy: StrictSign,
  allowedTopics: [topic],
  allowPublishToZeroTopicPeers: true,
  emitSelf: false,
  fallbackToFloodsub: false,
  doPX: false,
  D: meshDegree,
  Dlo: meshDegreeLow,
  Dhi: meshDegreeHigh,
  floodPublish: false,
  scoreParams: createPeerScoreParams({
    IPColocationFactorThreshold: peersPerAddressMax,
    IPColocationFactorWhitelist: new Set(['127.0.0.1', '::1']),
    retainScore: scoreMemoryMs,
    topics: {
      [topic]: createTopicScoreParams({
        topicWeight: 1,
        timeInMeshWeight: 0.01,
        timeInMeshQuantum: 1 * second,
        timeInMeshCap: 300,
        firstMessageDeliveriesWeight: 0.1,
        firstMessageDeliveriesDecay: decayOver(rejectMemoryMs),
        firstMessageDeliveriesCap: 50,
        meshMessageDeliveriesWeight: 0,
        meshFailurePenaltyWeight: 0,
        invalidMessageDeliveriesWeight: rejectWeight,
        invalidMessageDeliveriesDecay: decayOver(rejectMemoryMs),
      }),
    },
  }),
});

interface Waiting {
  readonly sender: string;
  start(): void;
}

/** Judges and publishes the messages of one run. */
export class RunGossip {
  readonly #gossip: GossipSub;
  readonly #topic: string;
  readonly #onMessage: NetworkComponents['onMessage'];
  readonly #limits: NetworkLimits;
  readonly #queue: Waiting[] = [];
  readonly #waitingOf = new Map<string, number>();
  #running = 0;

  constructor(
    gossip: GossipSub,
    topic: string,
    onMessage: NetworkComponents['onMessage'],
    limits: NetworkLimits,
  ) {
    this.#gossip = gossip;
    this.#topic = topic;
    this.#onMessage = onMessage;
    this.#limits = limits;
  }

  start(): void {
    this.#gossip.topicValidators.set(this.#topic, (sender, message) => this.#judge(sender, message));
    this.#gossip.subscribe(this.#topic);
  }

  async publish(bytes: Uint8Array): Promise<void> {
    if (bytes.length > gossipBytesMax)
      throw new NetworkError(
        `a gossip message has at most ${gossipBytesMax} bytes, got ${bytes.length}; publish a blob's name instead`,
        { code: 'too-long', length: bytes.length, lengthMax: gossipBytesMax },
      );
    await this.#gossip.publish(this.#topic, bytes);
  }

  async #judge(sender: Libp2pPeerId, message: Message): Promise<TopicValidatorResult> {
    if (message.data.length > gossipBytesMax || message.type !== 'signed') return TopicValidatorResult.Reject;
    if (!(await this.#enter(sender.toString()))) return TopicValidatorResult.Ignore;
    try {
      return results[await this.#onMessage(message.from.toString() as PeerId, plainBytes(message.data))];
    } catch {
      return TopicValidatorResult.Ignore;
    } finally {
      this.#leave();
    }
  }

  /** Waits for a turn; false when too many wait already. */
  #enter(sender: string): Promise<boolean> {
    if (this.#running < this.#limits.judgedAtOnce) {
      this.#running++;
      return Promise.resolve(true);
    }
    const waiting = this.#waitingOf.get(sender) ?? 0;
    if (this.#queue.length >= this.#limits.waitingMax || waiting >= this.#limits.waitingPerPeerMax)
      return Promise.resolve(false);
    this.#waitingOf.set(sender, waiting + 1);
    return new Promise((resolve) => {
      this.#queue.push({ sender, start: () => resolve(true) });
    });
  }

  #leave(): void {
    const next = this.#queue.shift();
    if (!next) {
      this.#running--;
      return;
    }
    const waiting = (this.#waitingOf.get(next.sender) ?? 1) - 1;
    if (waiting === 0) this.#waitingOf.delete(next.sender);
    else this.#waitingOf.set(next.sender, waiting);
    next.start();
  }
}
