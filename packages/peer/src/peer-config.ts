import { describeIssues } from '@murmuration/base';
import { deviceWishes } from '@murmuration/engine';
import { z } from 'zod';
import { defaults } from './defaults.ts';
import { PeerError } from './errors.ts';

const peerConfigSchema = z.strictObject({
  /** Folder of this peer's store: key, ledger, blobs, snapshots. */
  directory: z.string().min(1),
  /** Text files or folders to train on; none only for an observer. */
  data: z.array(z.string().min(1)).default([]),
  /** `guest` becomes a member once its invitation is certified; founders are members whatever they say here. */
  role: z.enum(['guest', 'observer']).default('guest'),
  listen: z
    .array(z.string().min(1))
    .min(1)
    .default([...defaults.listen]),
  bootstrap: z.array(z.string().min(1)).max(64).default([]),
  mdns: z.boolean().default(true),
  dht: z.enum(['server', 'client']).default('server'),
  threads: z.int().min(1).max(256).default(defaults.threads),
  /** Where inner steps run; `auto` is the best device that starts. */
  device: z.enum(deviceWishes).default(defaults.device),
  /** Activations are computed again in the backward pass instead of being kept. */
  checkpointActivations: z.boolean().default(false),
  niceness: z.int().min(0).max(19).default(defaults.niceness),
  /** Old blobs go beyond this many bytes. */
  blobBytesMax: z.int().min(1).default(defaults.blobBytesMax),
  /** Every blob that comes stays, whatever `blobBytesMax` says: the ledger can be replayed from here. */
  archive: z.boolean().default(false),
});

/** What is one peer's own business: where its data and its store are, how it is reached, how much it may use. */
export type PeerConfig = z.infer<typeof peerConfigSchema>;
export type PeerConfigInput = z.input<typeof peerConfigSchema>;

/** Validates a peer's settings and fills in defaults; throws `PeerError` `bad-settings` that names each bad key. */
export function parsePeerConfig(value: unknown): PeerConfig {
  const result = peerConfigSchema.safeParse(value);
  if (result.success) return result.data;
  throw new PeerError(`peer settings: ${describeIssues(result.error, value)}`, {
    code: 'bad-settings',
    issues: result.error.issues,
  });
}
