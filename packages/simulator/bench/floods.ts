/** Question `floods`: do free identities that announce deltas make rounds close later, or cost an honest peer much? */
import { calm, type Lie, type Outcome, type Scenario, simulate } from '../src/index.ts';

const members = 6;
export const rounds = 6;
/** Far above what the strangers' bucket of signature checks allows. */
const perSecond = 60;

/** Members on slow lines; peer 6 is a stranger that makes identities. */
const scenario: Scenario = {
  ...calm,
  members,
  rounds,
  quorum: 'byzantine',
  guests: [{ atMs: 0, uninvited: true }],
  traits: Object.fromEntries(
    Array.from({ length: members }, (_, peer) => [peer, { uplinkBytesPerSecond: 4_000 }]),
  ),
};

type Phantoms = Extract<Lie, { kind: 'phantoms' }>;

const flood: Phantoms = { kind: 'phantoms', perSecond, identities: 1_000 };

/** What the free identities do; the first of them do next to nothing. */
export const floods: Readonly<Record<string, Phantoms>> = {
  none: { ...flood, perSecond: 0.001 },
  'announce and serve nobody': flood,
  'serve after four seconds': { ...flood, serves: { afterMs: 4_000 } },
  'serve one proposer only': { ...flood, serves: { only: 2 } },
};

export const floodScenario = (lie: Phantoms, seed: number): Scenario => ({
  ...scenario,
  seed: `flood ${seed}`,
  liars: [{ peer: members, lies: [lie] }],
});

export const roundMs = (outcomes: readonly Outcome[]): number =>
  outcomes.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0) / outcomes.length / rounds;

/** Of the honest peer that has most of it. */
export const most = (outcomes: readonly Outcome[], what: 'checks' | 'pulledBytes'): number =>
  Math.max(
    ...outcomes.flatMap(({ peers }) => peers.filter((peer) => peer.isHonest).map((peer) => peer[what])),
  );

interface FloodFigures {
  readonly roundMs: number;
  readonly pulledBytes: number;
  readonly checks: number;
}

const seedsDefault = 3;

/** Prints a table row by row. Option: the number of seeds. */
export async function bench([option]: readonly string[]): Promise<{ floods: Record<string, FloodFigures> }> {
  const seeds = Number(option ?? seedsDefault);
  const found: Record<string, FloodFigures> = {};
  console.log(`${seeds} seeds of ${rounds} rounds\n`);
  console.log(
    '| free identities | ms per round | bytes pulled | signature checks |\n| --- | --- | --- | --- |',
  );
  for (const [about, lie] of Object.entries(floods)) {
    const outcomes = Array.from({ length: seeds }, (_, seed) => simulate(floodScenario(lie, seed)));
    const problems = outcomes.flatMap((outcome) => outcome.problems);
    if (problems.length > 0) throw new Error(`${about}: ${problems.join('; ')}`);
    const figures = {
      roundMs: Math.round(roundMs(outcomes)),
      pulledBytes: Math.round(most(outcomes, 'pulledBytes') / rounds),
      checks: Math.round(most(outcomes, 'checks') / rounds),
    };
    found[about] = figures;
    console.log(`| ${about} | ${figures.roundMs} | ${figures.pulledBytes} | ${figures.checks} |`);
  }
  return { floods: found };
}
