/** What happened when and to whom, for the drawing. */
import type { World } from './world.ts';

export type Mark =
  | 'start'
  | 'stop'
  | 'contribute'
  | 'propose'
  | 'notarize'
  | 'skip'
  | 'finalize'
  | 'skipped'
  | 'apply'
  | 'undo'
  | 'final'
  | 'install'
  | 'admitted'
  | 'vanish'
  | 'pause'
  | 'restore';

export interface Happening {
  readonly atMs: number;
  readonly peer: number;
  readonly mark: Mark;
  /** View of a vote or proposal, height of a block, epoch of an admission. */
  readonly at: number | undefined;
}

export interface Trace {
  readonly happenings: readonly Happening[];
  note(peer: number, mark: Mark, at?: number): void;
}

/** Statements are sent again while nothing moves; only the first time is remarkable. */
const statements = new Set<Mark>(['contribute', 'propose', 'notarize', 'skip', 'finalize']);
/** More would not fit into any drawing. */
const happeningsMax = 200_000;

export function createTrace(world: World): Trace {
  const happenings: Happening[] = [];
  const signed = new Set<string>();
  return {
    happenings,
    note(peer, mark, at) {
      const key = `${peer} ${mark} ${at}`;
      if (statements.has(mark) && signed.size === signed.add(key).size) return;
      if (happenings.length < happeningsMax) happenings.push({ atMs: world.now, peer, mark, at });
    },
  };
}
