/**
 * Many replicas, one seed: the production replica in virtual time, with a lossy network, dead and restarted peers, and
 * a judge that watches every statement and every final block. Equal scenarios give equal outcomes.
 *
 * @example
 * const { problems } = simulate({ ...calm, seed: '7', loss: 0.1, rounds: 10 });
 */
export { createJudge, type Judge } from './judge.ts';
export { createKeys, type Keys } from './keys.ts';
export { calm, type Fault, type Outcome, type PeerOutcome, type Scenario } from './scenario.ts';
export { runOf, simulate } from './simulate.ts';
