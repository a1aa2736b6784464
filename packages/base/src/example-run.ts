import { cidOf, peerIdOf } from './digest.ts';
import { protocolVersion, type RunConfigInput } from './run-config.ts';

const named = (text: string): string => cidOf(new TextEncoder().encode(text));

/**
 * Whole settings of a small text run with one founder, to spread and override in tests, benchmarks and examples: what
 * matters to a reader is then what differs. Graph and parameters are names of nothing.
 *
 * @example
 * const run = parseRunConfig({ ...exampleRun, founders, rounds: 3 });
 */
export const exampleRun: RunConfigInput = {
  protocol: protocolVersion,
  nonce: '00112233445566778899aabbccddeeff',
  name: 'example',
  model: { graph: named('graph'), bytes: 1_000 },
  data: { kind: 'text', tokenizer: 'bytes', context: 32 },
  batch: 8,
  initial: { tensors: named('parameters'), parameters: 1_000, seed: 'seed' },
  inner: {
    optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.95, epsilon: 1e-8 },
    learningRate: 3e-3,
    weightDecay: 0.1,
    clipNorm: 1,
    warmupRounds: 0,
    schedule: { kind: 'cosine', floor: 0.1 },
    accumulate: 1,
  },
  round: { steps: 5, overlapSteps: 5, graceMs: 500, durationMaxMs: 5_000, viewTimeoutMs: 1_000 },
  delta: { chunk: 4_096, k: 64, kMin: 16, bits: 1, feedback: 0.95, blobBytesMax: 1_000_000 },
  aggregation: { rule: 'mean', kappa: 0, guestShare: 0.25, contributionsMax: 256 },
  outer: [{ fromRound: 0, step: 1 }],
  quorum: 'crash',
  founders: [peerIdOf(new Uint8Array(32).fill(1))],
  invitationSignatures: 1,
  membership: { votersMax: 64, earnedAfter: 0, silentAfter: 0, stallMs: 0 },
  lateHeights: 4,
  snapshotEvery: 64,
  rounds: 1_000,
};
