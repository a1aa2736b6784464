/** The run that a scenario's peers train, its first parameters, and its invitations. */
import {
  type Cid,
  createRandom,
  exampleRun,
  nameBlob,
  type PeerId,
  parseRunConfig,
  type Random,
  type RunConfig,
} from '@murmuration/base';
import { createInvitation, signInvitation } from '@murmuration/protocol';
import type { Keys } from './keys.ts';
import type { Scenario } from './scenario.ts';

/** The name of θ: that of its float32 values, little-endian. */
export const nameParameters = (values: Float32Array): Cid =>
  nameBlob(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)).cid;

/** Values in [−1, 1). */
export const drawVector = (length: number, random: Random): Float32Array =>
  Float32Array.from({ length }, () => 2 * random.unit() - 1);

export const firstParameters = ({ seed, parameters }: Scenario): Float32Array =>
  drawVector(parameters, createRandom(`${seed}/parameters`));

/** The settings of the run; only what the protocol and the trainer read matters. */
export function runOf(scenario: Scenario, founders: readonly PeerId[]): RunConfig {
  const tensors = nameParameters(firstParameters(scenario));
  return parseRunConfig({
    ...exampleRun,
    name: 'simulated',
    model: { graph: tensors, bytes: 1 },
    initial: { seed: scenario.seed.slice(0, 64), tensors, parameters: scenario.parameters },
    round: { steps: 5, overlapSteps: 5, graceMs: 1_000, durationMaxMs: 10_000, viewTimeoutMs: 1_500 },
    delta: { ...exampleRun.delta, k: 1_024, bits: 2 },
    quorum: scenario.quorum,
    founders: [...founders],
    invitationSignatures: Math.min(2, founders.length),
    snapshotEvery: scenario.snapshotEvery,
    rounds: scenario.rounds,
    ...scenario.settings,
  });
}

/** An invitation for one guest, signed by as many founders as the run asks for. */
export function invite(keys: Keys, runId: Cid, run: RunConfig, guest: PeerId): Uint8Array {
  const unsigned = createInvitation({ runId, guest, role: 'member', expires: run.rounds, uses: 1 });
  return run.founders
    .slice(0, run.invitationSignatures)
    .reduce((bytes, founder) => signInvitation(bytes, founder, keys.componentsOf(founder).sign), unsigned);
}
