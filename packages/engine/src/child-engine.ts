/**
 * The engine itself, as the child process runs it. It owns the vectors: θ and e (`head.ts`), θ_local with gradient and
 * moments (`adamw.ts`, over which `program.ts` lays onnxruntime's tensors). A call is served at once and to its end,
 * except that training, evaluation and generation are jobs of the schedule, and that a durable call answers when its
 * checkpoint is on disk. Nothing but the schedule's slices awaits in the middle of a change.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, type Cid, digestOfCid, FactError, nameBlob, publicKeyOf, type RunConfig, runDigest } from '@murmuration/base';
import { createSampler, createShard, createTokenStream, DataError, type Document, type Sampler, type Shard, type TokenStream } from '@murmuration/data';
import { deltaNorm, encodeDelta } from '@murmuration/delta';
import { embedParameters, initializeParameters, writeModel } from '@murmuration/onnx';
import { type AdamW, createAdamW, decayRanges } from './adamw.ts';
import { type CheckpointContents, openCheckpoints } from './checkpoint.ts';
