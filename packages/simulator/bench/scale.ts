/** Question `scale`: what does gossip cost a peer in a round, and how does that grow with the number of peers? */
import { calm, type Outcome, type Scenario, simulate } from '../src/index.ts';

const sizes = [4, 8, 16, 32, 64, 128, 256, 500];
/**
 * Connections get made, and members admitted, in the first rounds; the last one is left out, because nobody goes on.
 */
const warmUpRounds = 2;
/** Rounds that are measured: one is enough where so many peers make a mean. */
const measuredRounds = (peers: number): number => (peers > manyPeers ? 1 : 2);
const manyPeers = 128;
/**
 * Founders and voters; of those beyond that some get invited as members, and the rest are guests whom nobody invited.
 */
const votersMax = 64;
const invitedMax = 16;

/** Sent by one peer in one round, every copy to every neighbour counted. */
export interface Cost {
  readonly messages: number;
  readonly bytes: number;
}

export interface ScaleResult {
  /** By the number of peers. */
  readonly n: Readonly<Record<string, Cost>>;
}

/** Rounds of some 15 s in a mesh of degree 6, with the latencies of the internet and nothing lost. */
function scenarioOf(peers: number): Scenario {
  const founders = Math.min(peers, votersMax);
  const invited = Math.min(invitedMax, Math.ceil((peers - founders) / 2));
  return {
    ...calm,
    seed: `scale ${peers}`,
    members: founders,
    guests: Array.from({ length: peers - founders }, (_, index) => ({
      atMs: 100 + index,
      uninvited: index >= invited,
    })),
    rounds: warmUpRounds + measuredRounds(peers) + 1,
    gossip: { degree: 6 },
    latency: [20, 100],
    training: [10_000, 15_000],
    settings: {
      round: { steps: 5, overlapSteps: 5, graceMs: 5_000, durationMaxMs: 60_000, viewTimeoutMs: 10_000 },
      membership: { votersMax, earnedAfter: 0, silentAfter: 64, stallMs: 600_000 },
    },
  };
}

type Sent = Outcome['sentUntil'][number];

/** What one peer sent in one of the measured rounds. */
function perPeerAndRound({ peers, sentUntil }: Outcome, of: (sent: Sent) => number): number {
  const rounds = measuredRounds(peers.length);
  const [from, to] = [warmUpRounds, warmUpRounds + rounds].map((height) => sentUntil[height] as Sent);
  return Math.round((of(to as Sent) - of(from as Sent)) / peers.length / rounds);
}

const kinds = ['contribution', 'vote', 'presence', 'proposal', 'certificate'];

function simulateSize(peers: number): Outcome {
  const outcome = simulate(scenarioOf(peers));
  const members =
    Math.min(peers, votersMax) + Math.min(invitedMax, Math.ceil(Math.max(0, peers - votersMax) / 2));
  if (outcome.problems.length > 0) throw new Error(`${peers} peers: ${outcome.problems.join('; ')}`);
  if (outcome.members !== members)
    throw new Error(`${peers} peers: ${outcome.members} members, not ${members}`);
  return outcome;
}

/** Simulates each size; prints a table row by row. Options: sizes, instead of all. */
export async function bench(options: readonly string[]): Promise<ScaleResult> {
  const chosen = options.length > 0 ? options.map(Number) : sizes;
  const costs: Record<string, Cost> = {};
  console.log(`| peers | messages | kB | ${kinds.map((kind) => `${kind} kB`).join(' | ')} | seconds |`);
  for (const peers of chosen) {
    const started = performance.now();
    const outcome = simulateSize(peers);
    const cost = {
      messages: perPeerAndRound(outcome, ({ messages }) => messages),
      bytes: perPeerAndRound(outcome, ({ bytes }) => bytes),
    };
    costs[peers] = cost;
    const byKind = kinds.map((kind) =>
      perPeerAndRound(outcome, (sent) => (sent.kinds[kind]?.bytes ?? 0) / 1_000),
    );
    const seconds = Math.round((performance.now() - started) / 1_000);
    console.log(
      `| ${peers} | ${cost.messages} | ${Math.round(cost.bytes / 1_000)} | ${byKind.join(' | ')} | ${seconds} |`,
    );
  }
  return { n: costs };
}
