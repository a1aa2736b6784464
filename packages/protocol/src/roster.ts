import type { PeerId, RunConfig } from '@murmuration/base';

/** How many of `members` make a certificate: ⌊n/2⌋+1 in `crash` runs, ⌊2n/3⌋+1 in `byzantine` ones. */
export const quorumOf = (mode: RunConfig['quorum'], members: number): number =>
  mode === 'crash' ? Math.floor(members / 2) + 1 : Math.floor((2 * members) / 3) + 1;

/** Who may propose in a view: the roster in turn. */
export const proposerOf = (roster: readonly PeerId[], view: number): PeerId =>
  roster[view % roster.length] as PeerId;
