import { GiB, KiB, MiB, second } from '@murmuration/base';

/** Progress events reach the parent at most this often: a terminal redraws about four times a second. */
export const progressMs = 250;

/** Calls that wait for an answer. A peer makes a handful at a time; more is a defect in the caller. */
export const callsMax = 1_024;

/** A child that has not ended this long after `close` is killed: writing 2 GB at 100 MB/s. */
export const closeTimeoutMs: number = 20 * second;

/** Of what the child wrote to its error stream, this much goes into `engine-died`. */
export const errorTailBytes: number = 4 * KiB;

/** The last part of a checkpoint's history is written at most this often when only `settle` moved. */
export const checkpointIntervalMs: number = 5 * second;

/**
 * Blocks that change θ and can be undone: proposals carry nothing at depth 8, so more never wait for finality; twice
 * that. Empty blocks cost nothing and are not counted: a long stall of finality makes many.
 */
export const undoMax = 16;

/** Text of one engine, in memory as bytes. A peer with more splits it over several engines. */
export const textBytesMax: number = GiB;
export const textFilesMax = 200_000;
export const folderDepthMax = 32;

/** A file whose first bytes hold a zero is not text. */
export const binaryProbeBytes: number = 8 * KiB;

/** Decoded deltas kept between `validate`, `execute` and `apply`: about 64 deltas of a 10 M parameter model. */
export const decodedBytesMax: number = 96 * MiB;

/** Executions whose result is kept until `apply`: one per view of a height is usual. */
export const executionsMax = 4;

/** Inner steps over which a fresh optimizer reaches the round's learning rate: its moments are noise until then. */
export const freshOptimizerSteps = 10;

/**
 * From this many values on, threads share the work on one matrix of Muon. Below, they wait for each other more than
 * they work: 24 matrices of a model with 0.9 M parameters take 19 ms by one thread, 86 ms by two.
 */
export const threadedMatrixMin = 262_144;

/** Values of one input of a micro-batch: 2 GiB of int64, more than any graph of 4 GiB of parameters has use for. */
export const inputValuesMax: number = 2 ** 28;

/**
 * Of each array so much is read when it is opened, in pieces, to find values that no step could use: seconds from a
 * disk. What lies behind is checked as it is read.
 */
export const scannedBytesMax: number = GiB;
export const scanPieceBytes: number = MiB;

/** Snapshot files kept in the engine's folder; the newest block divisible by the run's interval and the one before. */
export const snapshotsKept = 2;

/** Windows per slice of an evaluation are those of a training batch, but at most so many. */
export const evaluationBatchMax = 16;

/** Longest continuation of one `generate`. */
export const generateBytesMax: number = 64 * KiB;

/**
 * Facts of a checkpoint beside its arrays: a pending blob of at most 16 MiB per undoable block would not fit a peer.
 */
export const checkpointFactsBytesMax: number = 64 * MiB;

/** Bytes per call where a checkpoint is read or hashed: Node's functions for that take less than 2 GiB at once. */
export const pieceBytesMax: number = 256 * MiB;

/**
 * An inspection of a file ends after this long. It takes four steps per weight, more at kinks: about 740 for the 185
 * weights of a transformer with 12 layers.
 */
export const inspectionTimeoutMs: number = 30 * 60 * second;

/** Steps that an inspection times: the first one also loads the graph. */
export const inspectionSteps = 4;

/**
 * Rows of the square matrices that a device is tried with: many where its speed decides, few where it only must start.
 * Then their products per run, and runs after the first.
 */
export const trialSizes = { speed: 512, start: 64 } as const;
export const trialProducts = 8;
export const trialRuns = 3;

/** A device that has not answered after this long does not work: shaders and drivers load in seconds. */
export const trialTimeoutMs: number = 60 * second;

/** `auto` takes a device whose products of matrices are so many times as fast as the CPU's. */
export const deviceSpeedMin = 1.5;

/**
 * A device's gradient of one micro-batch may differ by so much of its norm from the CPU's. Rounding leaves 10⁻⁵ where
 * matrices are multiplied in float32 and 10⁻² in reduced precision; a wrong kernel leaves much more.
 */
export const deviceErrorMax = 0.02;

/** Steps on a device whose gradients are compared before it is trusted. */
export const comparedSteps = 3;

/**
 * Share of the machine's memory that an engine may hold: beyond it the system would end some process, perhaps another.
 */
export const memoryShareMax = 0.9;

/** How often the engine's memory is looked at: a graph fills a few hundred megabytes in that time. */
export const memoryWatchMs: number = 1 * second;
