/** Broken builds, and for each the scenario that notices it. */
import type { SparseDelta } from '@murmuration/delta';
import type { Effect, Replica } from '@murmuration/protocol';
import { bendStatements } from './lies-about-own.ts';
import type { Mutant } from './mutant.ts';
import { mutantSeedOf } from './mutant-seeds.ts';
import { patchedMutants } from './patched-mutants.ts';
import type { RawStatement } from './statements.ts';
import type { Trainer } from './trainer.ts';

/** A mutant with where it is caught: by this seed of a plan, or, when the protocol has changed, by one of the first. */
export interface MutantCase {
  readonly mutant: Mutant;
  readonly plan: string;
  readonly seed: number;
}

/** Seeds that a mutant may survive; a plan that needs more of them is no good catcher. */
export const mutantSeeds = 24;

/** A replica of which the effects are changed before they are performed. */
const withEffects =
  (change: (effects: Effect[]) => Effect[]) =>
  (replica: Replica): Replica => ({
    handle: (event, now) => change(replica.handle(event, now)),
    get view() {
      return replica.view;
    },
  });

const without = (isDropped: (effect: Effect) => boolean) =>
  withEffects((effects) => effects.filter((effect) => !isDropped(effect)));

/** A replica that leaves out statements; `choose` is made anew for each life. */
const withStatements =
  (choose: () => (statement: RawStatement) => boolean) =>
  (replica: Replica): Replica => {
    const isSent = choose();
    return withEffects(
      (effects) =>
        bendStatements(effects, (statement) => (isSent(statement) ? statement.bytes : undefined)) as Effect[],
    )(replica);
  };

const forgetRecords =
  (prefix: RegExp): NonNullable<Mutant['restart']> =>
  ({ records }) => {
    for (const key of records.keys()) if (prefix.test(key)) records.delete(key);
  };

/** Sums in float32, in the order of arrival: each peer another rounding. */
const roundedSums: NonNullable<Mutant['aggregate']> = (inputs, { kappa, length }): SparseDelta => {
  const sums = new Float32Array(length);
  const weights = new Float32Array(length);
  const all = inputs.reduce((sum, { weight }) => sum + weight, 0);
  for (const { delta, clip, weight } of inputs.toReversed())
    delta.indices.forEach((index, at) => {
      sums[index] = (sums[index] as number) + weight * clip * (delta.values[at] as number);
      weights[index] = (weights[index] as number) + weight;
    });
  const indices = Uint32Array.from(weights.keys()).filter((index) => (weights[index] as number) > 0);
  const values = Float32Array.from(
    indices,
    (index) => (sums[index] as number) / Math.max(weights[index] as number, kappa * all),
  );
  return { length, indices, values };
};

const sloppyUndo = (trainer: Trainer): Trainer =>
  Object.create(trainer, {
    undo: {
      value(block: Parameters<Trainer['undo']>[0]) {
        trainer.undo(block);
        trainer.theta[0] = Math.fround((trainer.theta[0] as number) * 1.001);
      },
    },
  }) as Trainer;

const around: readonly Omit<MutantCase, 'seed'>[] = [
  {
    mutant: {
      name: 'quorum off by one',
      breaks: 'G1',
      run: (run) => ({ ...run, quorum: 'crash' }),
    },
    plan: 'twins-across-a-cut',
  },
  {
    mutant: { name: 'sums in float32, unsorted', breaks: 'G2', aggregate: roundedSums },
    plan: 'calm',
  },
  {
    mutant: { name: 'undo not to the bit', breaks: 'G2', trainer: sloppyUndo },
    plan: 'slow-network',
  },
  {
    mutant: { name: 'state installed unchecked', breaks: 'G2', trustsStates: true },
    plan: 'forked-ledger',
  },
  {
    mutant: {
      name: 'skips never sent',
      breaks: 'G3',
      replica: withStatements(
        () =>
          ({ kind, body }) =>
            kind !== 'vote' || body.choice !== 'skip',
      ),
    },
    plan: 'dead-proposer',
  },
  {
    mutant: {
      name: 'nothing said twice',
      breaks: 'G3',
      replica: withStatements(() => {
        const said = new Set<string>();
        return ({ bytes }) => said.size < said.add(String(bytes)).size;
      }),
    },
    plan: 'pair',
  },
  {
    mutant: {
      name: 'own work counted again',
      breaks: 'G4',
      replica: withEffects((effects) =>
        effects.map((effect) => (effect.kind === 'apply' ? { ...effect, own: undefined } : effect)),
      ),
    },
    plan: 'calm',
  },
  {
    mutant: { name: 'deltas taken undecoded', breaks: 'G4', trustsDeltas: true },
    plan: 'wrong-norm',
  },
  {
    mutant: {
      name: 'good signatures refused now and then',
      breaks: 'G5',
      components: (components) => ({
        ...components,
        verify: (signer, bytes, signature) =>
          components.verify(signer, bytes, signature) && (bytes.at(-1) ?? 0) % 64 !== 0,
      }),
    },
    plan: 'calm',
  },
  {
    mutant: {
      name: 'records never forgotten',
      breaks: 'G6',
      replica: without(({ kind }) => kind === 'forget'),
    },
    plan: 'long-away',
  },
  {
    mutant: {
      name: 'ledger entries never asked for',
      breaks: 'G7',
      replica: without(({ kind }) => kind === 'sync'),
    },
    plan: 'minority',
  },
  {
    mutant: {
      name: 'vote sent before it is durable',
      breaks: 'G8',
      replica: withEffects((effects) => [
        ...effects.filter(({ kind }) => kind !== 'persist'),
        ...effects.filter(({ kind }) => kind === 'persist'),
      ]),
    },
    plan: 'slow-crashes',
  },
  {
    mutant: { name: 'votes lost at a restart', breaks: 'G8', restart: forgetRecords(/^vote\//) },
    plan: 'slow-crashes',
  },
  {
    mutant: { name: 'skips lost at a restart', breaks: 'G8', restart: forgetRecords(/^vote\/.*\/skip$/) },
    plan: 'slow-crashes',
  },
  {
    mutant: {
      name: 'announcements lost at a restart',
      breaks: 'G8',
      restart: forgetRecords(/^contribution\//),
    },
    plan: 'crashes',
  },
];

export const mutantCases: readonly MutantCase[] = [
  ...around.map((made) => ({ ...made, seed: mutantSeedOf[made.mutant.name] ?? 0 })),
  ...patchedMutants,
];
