/** A named scenario of the suite: what runs, with how many seeds, and what must have happened or it tests nothing. */
import type { Scenario } from './scenario.ts';

export interface Plan {
  /** As `murmur simulate NAME` knows it. */
  readonly name: string;
  /** What it is about, in a line. */
  readonly about: string;
  readonly scenario: Scenario;
  /** Seeds 0, 1, … of the sample that CI runs, and of the nightly suite. */
  readonly seeds: { readonly sample: number; readonly nightly: number };
  /** Effects (or `report <kind>`) that must have happened somewhere in these seeds. */
  readonly exercises: readonly string[];
  /** Roster at the end, where the scenario is about it. */
  readonly membersAtEnd?: number;
  /** Every contribution of honest peers to a final block must be certified (G4). */
  readonly certifiesAll?: boolean;
  /** Exactly these peers are convicted, and each in the ledger of every honest founder. */
  readonly convicts?: readonly number[];
  /** So much of the honest tokens must be in certified rounds, %. */
  readonly goodputPercent?: number;
  /** Time from a round's last contribution to its certification, ms. */
  readonly commitMsMax?: { readonly median: number; readonly mean: number };
  /** So many pieces of work may be lost or there twice as PROTOCOL.md §10 allows it; by default none. */
  readonly disputedMax?: number;
}

/** The scenario of one seed. Seeds of different plans differ, too. */
export const seeded = ({ name, scenario }: Plan, seed: number | string): Scenario => ({
  ...scenario,
  seed: `${name} ${seed}`,
});
