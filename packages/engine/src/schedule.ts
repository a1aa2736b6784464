/**
 * One process, many calls. Short calls run to their end, in the order in which they came. Long work (training, an
 * evaluation, a continuation) is a job that is done in slices of about one inner step; between two slices all calls
 * that have come in are served, then the next job has its turn. The schedule counts what the time goes into.
 */
import type { TimeUse } from './index.ts';
import { TimeCount } from './time-use.ts';

/** A long piece of work. */
export interface Job {
  readonly activity: 'training' | 'evaluation';
  /** Does about one step's worth; true when the job has come to its end. A throw ends it, too. */
  slice(): Promise<boolean>;
}

export interface Schedule {
  /**
   * Runs `serve` after everything that was given before, never during a slice; right before it, with nothing in
   * between, what `prepare` promises.
   */
  serve(serve: () => void, prepare?: () => Promise<void> | undefined): void;
  /** Resolves when the job has ended, rejects with what a slice threw. */
  start(job: Job): Promise<void>;
  /** Since the first slice of training. */
  timeUse(): TimeUse;
}

/** `now`: milliseconds that never go back. */
export function createSchedule(now: () => number = () => performance.now()): Schedule {
  const time = new TimeCount(now);
  const calls: { serve(): void; prepare?: (() => Promise<void> | undefined) | undefined }[] = [];
  const jobs: { readonly job: Job; resolve(): void; reject(error: unknown): void }[] = [];
  let driving = false;

  const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  const serveAll = async (): Promise<void> => {
    for (let call = calls.shift(); call; call = calls.shift()) {
      time.begin('calls');
      const prepared = call.prepare?.();
      if (prepared) await prepared;
      call.serve();
    }
    time.end();
  };

  async function drive(): Promise<void> {
    if (driving) return;
    driving = true;
    while (calls.length > 0 || jobs.length > 0) {
      await serveAll();
      const next = jobs.shift();
      if (next) {
        time.begin(next.job.activity);
        try {
          const isDone = await next.job.slice();
          time.end();
          if (isDone) next.resolve();
          else jobs.push(next);
        } catch (error) {
          time.end();
          next.reject(error);
        }
        await nextTurn();
      }
    }
    driving = false;
  }

  return {
    serve(serve, prepare) {
      calls.push({ serve, prepare });
      void drive();
    },
    start(job) {
      return new Promise((resolve, reject) => {
        jobs.push({ job, resolve, reject });
        void drive();
      });
    },
    timeUse: () => time.read(),
  };
}
