/**
 * What parent and child say to each other, over the channel of `child_process.fork` with structured clone. The
 * parent's first message is the init; the child answers with `ready` or an error without an id. Then every request
 * carries an id that its response repeats. The parent waits for the disk where the child would have to stop training
 * for it.
 */
import { type ErrorFacts, FactError } from '@murmuration/base';
import type { DeviceChoice } from './device/devices.ts';
import type { Engine, EngineInit, TrainProgress } from './index.ts';

export type EngineCalls = Omit<Engine, 'pid'>;
export type EngineCall = keyof EngineCalls;

/** The init with the device that the wish came to. */
export type ChildInit = Omit<EngineInit, 'onProgress' | 'onExit' | 'device'> & {
  readonly device: DeviceChoice;
};

export type Request =
  | { readonly kind: 'init'; readonly init: ChildInit }
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly call: EngineCall;
      readonly parameters: readonly unknown[];
    }
  | { readonly kind: 'flushed'; readonly path: string };

/** An `EngineError` as data. */
export interface ErrorMessage {
  readonly message: string;
  readonly facts: ErrorFacts<string>;
}

/** Facts travel as structured clones; an error that has none is a defect, told with its stack. */
export const toErrorMessage = (error: unknown): ErrorMessage =>
  error instanceof FactError
    ? { message: error.message, facts: error.facts }
    : {
        message: error instanceof Error ? (error.stack ?? error.message) : String(error),
        facts: { code: 'internal' },
      };

export type Response =
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly error: ErrorMessage }
  /** `unflushed`: a file that must be on the disk before the value is passed on. */
  | {
      readonly kind: 'value';
      readonly id: number;
      readonly value: unknown;
      readonly unflushed?: string | undefined;
    }
  | { readonly kind: 'error'; readonly id: number; readonly error: ErrorMessage }
  | { readonly kind: 'progress'; readonly progress: TrainProgress };
