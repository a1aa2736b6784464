/** A deliberately broken build: a patch of what all peers are made of. The suite must notice each one. */
import type { RunConfig } from '@murmuration/base';
import type { aggregate } from '@murmuration/delta';
import type { Replica, ReplicaComponents } from '@murmuration/protocol';
import type { Disk } from './disk.ts';
import type { Trainer } from './trainer.ts';

/** A change in the text of a production source, for a process of its own. */
export interface Patch {
  /** Under `packages/`. */
  readonly file: string;
  /** Stands there exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  /** The guarantee of PROTOCOL.md that it breaks, as problems name it. */
  readonly breaks: string;
  /** What whoever runs it must have done to the production code before it loads this package. */
  readonly patches?: readonly Patch[];
  /** The replica, or what it answers. */
  replica?(replica: Replica): Replica;
  /** What hashes, signs and verifies for it. */
  components?(components: ReplicaComponents): ReplicaComponents;
  /** The settings that it believes in, under the name of the real ones. */
  run?(run: RunConfig): RunConfig;
  trainer?(trainer: Trainer): Trainer;
  /** The sum of deltas, on one of four peers. */
  readonly aggregate?: typeof aggregate;
  /** States are installed without looking at their hash, deltas taken without decoding them. */
  readonly trustsStates?: boolean;
  readonly trustsDeltas?: boolean;
  /** What happens to a disk before a process starts from it. */
  restart?(disk: Disk): void;
}
