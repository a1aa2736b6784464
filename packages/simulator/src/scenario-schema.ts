/**
 * What a scenario that somebody wrote must be like before it runs: every number has bounds, so that nothing hangs or
 * asks for all the memory there is, and every peer that is spoken of exists.
 */
import { describeIssues, RunConfigError, type RunConfigInput } from '@murmuration/base';
import { z } from 'zod';
import { SimulatorError } from './errors.ts';
import { createKeys } from './keys.ts';
import type { Lie } from './lies.ts';
import { runOf } from './run.ts';
import type { Churn, Distribution, Fault, Scenario, Traits } from './scenario.ts';

/** A day: longer than any scenario needs, short enough to end. */
const timeMax = 86_400_000;
/** An hour: what one message, training or absence may take. */
const spanMax = 3_600_000;
const guestsMax = 1_024;
const peersMax = 64 + guestsMax;
const listMax = 1_024;

const timeMs = z.int().min(0).max(timeMax);
const spanMs = z.int().min(0).max(spanMax);
const index = z
  .int()
  .min(0)
  .max(peersMax - 1);
const indices = z.array(index).max(peersMax);
const chance = z.number().min(0).max(1);
const factor = z.number().min(0.001).max(1_000);
const perSecond = z.number().min(0.01).max(1_000);
const isOrdered = ([low, high]: readonly [number, number]): boolean => low <= high;

const durations = `expected [low, high] or { "medianMs", "sigma" (up to 4) }, milliseconds from 0 to ${spanMax}`;

const distribution: z.ZodType<Distribution> = z.union(
  [
    z.tuple([spanMs, spanMs]).refine(isOrdered, durations),
    z.strictObject({ medianMs: z.number().min(0).max(spanMax), sigma: z.number().min(0).max(4) }),
  ],
  durations,
);

const traits: z.ZodType<Traits> = z.strictObject({
  slowMs: spanMs.exactOptional(),
  loss: chance.exactOptional(),
  trainFactor: factor.exactOptional(),
  executeFactor: factor.exactOptional(),
  uplinkBytesPerSecond: z.number().min(1).max(1e12).exactOptional(),
  driftPpm: z.number().min(-100_000).max(100_000).exactOptional(),
  jumps: z
    .array(z.strictObject({ atMs: timeMs, byMs: z.int().min(-timeMax).max(timeMax) }))
    .max(listMax)
    .exactOptional(),
});

const window = { fromMs: timeMs, untilMs: timeMs };
const effects = z.int().min(1).max(1e9);

const fault: z.ZodType<Fault> = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('away'),
    peer: index,
    fromMs: timeMs,
    untilMs: timeMs.exactOptional(),
  }),
  z.strictObject({
    kind: z.literal('crash'),
    peer: index,
    effect: effects,
    downMs: spanMs,
    aloneMs: spanMs.exactOptional(),
  }),
  z.strictObject({
    kind: z.literal('crashes'),
    peers: indices,
    everyEffects: z.tuple([effects, effects]).refine(isOrdered, 'expected [low, high]'),
    times: z.int().min(1).max(listMax),
    down: distribution,
  }),
  z.strictObject({
    kind: z.literal('partition'),
    side: indices,
    fromMs: timeMs,
    untilMs: timeMs.exactOptional(),
    oneWay: z.boolean().exactOptional(),
  }),
  z.strictObject({ kind: z.literal('pause'), peer: index, ...window }),
  z.strictObject({ kind: z.literal('reopening'), atMs: timeMs, founders: indices, listed: indices }),
  z.strictObject({ kind: z.literal('bit-flip'), peer: index, atMs: timeMs }),
  z.strictObject({
    kind: z.literal('restore'),
    peer: index,
    copyMs: timeMs,
    ...window,
    unnoticed: z.boolean().exactOptional(),
  }),
]);

const served = { afterMs: spanMs.exactOptional(), only: index.exactOptional() };

const lie: z.ZodType<Lie> = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('twin'), side: indices }),
  z.strictObject({ kind: z.literal('equivocate'), what: z.enum(['proposal', 'notarize', 'finality']) }),
  z.strictObject({
    kind: z.literal('withhold-votes'),
    choices: z.array(z.enum(['notarize', 'skip', 'finalize'])),
  }),
  z.strictObject({ kind: z.literal('withhold-blobs'), ...served }),
  z.strictObject({
    kind: z.literal('rubbish'),
    what: z.enum(['root', 'tensors', 'execution', 'list', 'unsorted', 'unjustified']),
  }),
  z.strictObject({ kind: z.literal('bad-delta'), what: z.enum(['norm', 'copied']) }),
  z.strictObject({ kind: z.literal('censor'), victims: indices }),
  z.strictObject({ kind: z.literal('spam'), perSecond }),
  z.strictObject({
    kind: z.literal('phantoms'),
    perSecond,
    identities: z.int().min(1).max(listMax),
    serves: z.strictObject(served).exactOptional(),
  }),
  z.strictObject({
    kind: z.literal('accuse'),
    what: z.enum(['forged', 'replayed', 'cross-epoch']),
    perSecond,
  }),
  z.strictObject({ kind: z.literal('replay'), perSecond, what: z.literal('presences').exactOptional() }),
  z.strictObject({ kind: z.literal('vote-unseen') }),
  z.strictObject({ kind: z.literal('fork-ledger') }),
  z.strictObject({ kind: z.literal('false-heights'), by: z.int().min(1).max(1e6) }),
]);

const churn: z.ZodType<Churn> = z.strictObject({
  who: z.enum(['guests', 'members']),
  share: z.number().positive().max(1),
  awayMs: distribution.exactOptional(),
  retires: z.boolean().exactOptional(),
});

/** A part of the run's settings; what is in it is checked as for any run. */
const part = <Key extends keyof RunConfigInput>(key: Key) =>
  z.custom<RunConfigInput[Key]>(
    (value) => typeof value === 'object' && value !== null,
    `expected an object, the run's "${key}"`,
  );

/** What a scenario may change of the run's settings. */
const settings = z.strictObject({
  round: part('round').exactOptional(),
  membership: part('membership').exactOptional(),
  aggregation: part('aggregation').exactOptional(),
  lateHeights: z.int().exactOptional(),
  invitationSignatures: z.int().exactOptional(),
});

const scenarioSchema: z.ZodType<Scenario> = z.strictObject({
  seed: z.string().min(1).max(256),
  members: z.int().min(1).max(64),
  guests: z
    .array(
      z.strictObject({
        atMs: timeMs,
        uninvited: z.boolean().exactOptional(),
        checkpoint: z.boolean().exactOptional(),
      }),
    )
    .max(guestsMax),
  quorum: z.enum(['crash', 'byzantine']),
  rounds: z.int().min(1).max(10_000),
  snapshotEvery: z.int().min(1).max(65_536),
  parameters: z.int().min(1).max(65_536),
  gossip: z.union(
    [z.literal('full'), z.strictObject({ degree: z.int().min(1).max(64) })],
    'expected "full" or { "degree": 1 to 64 }',
  ),
  latency: distribution,
  loss: chance,
  duplication: chance,
  reordering: chance,
  training: distribution,
  execution: distribution,
  traits: z.record(z.string().regex(/^\d{1,4}$/, 'expected the index of a peer'), traits),
  faults: z.array(fault).max(listMax),
  liars: z.array(z.strictObject({ peer: index, lies: z.array(lie).max(listMax) })).max(peersMax),
  churn: z.array(churn).max(4),
  settings,
  excused: indices,
  limitMs: z.int().min(1).max(timeMax),
});

/** The peers that a scenario speaks of, and where. */
function spokenOf({ faults, liars, traits: marked, excused }: Scenario): (readonly [string, number])[] {
  const inFault = (what: Fault): readonly number[] => {
    if (what.kind === 'partition') return what.side;
    if (what.kind === 'crashes') return what.peers;
    return what.kind === 'reopening' ? [...what.founders, ...what.listed] : [what.peer];
  };
  return [
    ...faults.flatMap((what, at) => inFault(what).map((peer) => [`faults.${at}`, peer] as const)),
    ...liars.map(({ peer }, at) => [`liars.${at}`, peer] as const),
    ...Object.keys(marked).map((peer) => ['traits', Number(peer)] as const),
    ...excused.map((peer) => ['excused', peer] as const),
  ];
}

/** What the settings of a run say against the scenario's. */
function problemOfSettings(scenario: Scenario): string | undefined {
  const { idOf } = createKeys(scenario.seed);
  try {
    runOf(
      scenario,
      Array.from({ length: scenario.members }, (_, founder) => idOf(founder)),
    );
    return undefined;
  } catch (error) {
    if (error instanceof RunConfigError) return error.message;
    throw error;
  }
}

/** What the parts of a scenario must be to each other. */
function problemOf(scenario: Scenario): string | undefined {
  const count = scenario.members + scenario.guests.length;
  const stranger = spokenOf(scenario).find(([, peer]) => peer >= count);
  if (stranger) return `${stranger[0]}: expected a peer below ${count}, got ${stranger[1]}`;
  const liars = scenario.liars.map(({ peer }) => peer);
  if (new Set(liars).size < liars.length) return `liars: expected each peer once, got ${liars.join(', ')}`;
  const founder = scenario.faults.find(
    (what) => what.kind === 'reopening' && what.founders.some((peer) => peer >= scenario.members),
  );
  if (founder) return `faults: expected founders below ${scenario.members} to sign a reopening`;
  const backwards = scenario.faults.find(
    (what) => 'fromMs' in what && what.untilMs !== undefined && what.untilMs < what.fromMs,
  );
  if (backwards) return `faults: expected untilMs at or after fromMs, got ${JSON.stringify(backwards)}`;
  return problemOfSettings(scenario);
}

/** Checks what somebody wrote. Throws `SimulatorError` that names what was expected and what came. */
export function checkScenario(written: object): Scenario {
  const result = scenarioSchema.safeParse(written);
  const problem = result.success ? problemOf(result.data) : describeIssues(result.error, written);
  if (problem || !result.success) throw new SimulatorError(`scenario: ${problem}`, { code: 'bad-scenario' });
  return result.data;
}
