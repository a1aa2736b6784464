/**
 * The two machines of a replica (recovery.ts), what they share, and how the effects of the provisional one are told
 * apart.
 */
import type { Cid } from '@murmuration/base';
import type { Effect, ReplicaEvent, ReplicaView, Verdict } from './index.ts';
import type { Machine } from './machine.ts';
import type { Opening } from './opening.ts';
import { entryRecord, keepApart, type PassedBlock, prefix, type StoredRecovery } from './recovery-records.ts';

/** What drives one machine. */
export interface MachineDoor {
  /** One event in, effects out, and every step that it made possible. */
  handle(machine: Machine, event: ReplicaEvent, now: number): Effect[];
  /** Every step that has become possible otherwise. */
  turn(machine: Machine, now: number): Effect[];
  view(machine: Machine): ReplicaView;
}

export type Life =
  | { readonly kind: 'regular' }
  | { readonly kind: 'waiting'; readonly stored: StoredRecovery }
  /** `partingAt`: since when it is to be given up. */
  | { readonly kind: 'recovering'; readonly machine: Machine; partingAt: number | undefined }
  | { readonly kind: 'rewinding'; readonly opening: Opening; readonly before: Machine | undefined };

export interface Pair {
  readonly regular: Machine;
  readonly door: MachineDoor;
  life: Life;
  now: number;
  /** The newest final block of the regular chain at the last look. */
  tip: string;
  /** The better recovery for which one was given up. */
  follows: Opening | undefined;
  /** Blocks of recoveries that were given up: what they did to the local parameters is done. */
  readonly passed: Map<Cid, PassedBlock>;
  /** What has gathered since the event came. */
  readonly effects: Effect[];
  emit(...effects: readonly Effect[]): void;
}

export function createPair(regular: Machine, door: MachineDoor): Pair {
  const pair: Pair = {
    regular,
    door,
    life: { kind: 'regular' },
    now: 0,
    tip: '',
    follows: undefined,
    passed: new Map(),
    effects: [],
    emit(...effects) {
      for (const effect of effects) pair.effects.push(markPassed(pair, effect));
    },
  };
  return pair;
}

function markPassed({ passed }: Pair, effect: Effect): Effect {
  if (effect.kind !== 'apply') return effect;
  const before = passed.get(effect.block.id);
  return before ? { ...effect, own: undefined, carried: before.carried } : effect;
}

/** A height that no block reaches: what is kept under it goes when the recovery ends. */
export const foreverOf = ({ rules }: Machine): number => rules.run.rounds + 1;

/** Effects of the provisional machine, as those of the replica. */
export function translate(machine: Machine, from: readonly Effect[]): readonly Effect[] {
  const opening = machine.genesis.next.opened;
  return from.flatMap((effect): readonly Effect[] => {
    switch (effect.kind) {
      case 'persist':
        return [keepApart(effect)];
      case 'forget':
        return [{ ...effect, prefix }];
      case 'timer':
        return [{ ...effect, name: `${prefix}${effect.name}` }];
      case 'sync':
        return [{ ...effect, opening }];
      case 'settle':
        return [
          { kind: 'persist', record: entryRecord(effect.entry, foreverOf(machine)) },
          { kind: 'provision', block: effect.block, applied: effect.applied },
        ];
      case 'report':
        return effect.report.kind === 'certified'
          ? [{ kind: 'report', report: { ...effect.report, kind: 'provisional' } }]
          : [effect];
      default:
        return [effect];
    }
  });
}

/** An event for the provisional machine alone. */
export const inRecovery = (pair: Pair, machine: Machine, event: ReplicaEvent): void =>
  pair.emit(...translate(machine, pair.door.handle(machine, event, pair.now)));

const worth: Readonly<Record<Verdict, number>> = { reject: 2, accept: 1, ignore: 0 };

/** One verdict of two machines: what one takes in is good, what one rejects is not. */
export function bothVerdicts(effects: readonly Effect[]): readonly Effect[] {
  const verdicts = effects
    .filter((effect) => effect.kind === 'verdict')
    .sort((a, b) => worth[b.verdict] - worth[a.verdict]);
  return [...verdicts.slice(0, 1), ...effects.filter(({ kind }) => kind !== 'verdict')];
}
