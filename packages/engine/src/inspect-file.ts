/**
 * Inspects a file in a process of its own (`inspect-child.ts`): it may be anybody's, and a graph that computes for ever
 * or takes all memory answers nobody. The process ends when it is done, at its time limit, above its memory, when it is
 * told to, and with its parent.
 */
import { fork } from 'node:child_process';
import { totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { TrainingRequest } from '@murmuration/autodiff';
import { second } from '@murmuration/base';
import { childOptions } from './child-options.ts';
import { errorTailBytes, inspectionTimeoutMs, memoryShareMax } from './defaults.ts';
import { EngineError, type EngineErrorCode } from './errors.ts';
import type { InspectionOptions, ModelInspection } from './inspect-model.ts';
import type { ErrorMessage } from './messages.ts';
import { watchMemory } from './watch-memory.ts';

/** A file, what to make of it, and on what it is tried. */
export interface FileInspection extends InspectionOptions {
  readonly path: string;
  readonly request: TrainingRequest;
}

/** When an inspection is ended before it is done. */
export interface InspectionLimits {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What the process answers. */
export type InspectionAnswer =
  | { readonly kind: 'found'; readonly found: ModelInspection }
  | { readonly kind: 'failed'; readonly error: ErrorMessage };

/** Why a process was ended, if it was. */
type Reason = () => EngineError | undefined;

function askChild(inspection: FileInspection, { timeoutMs = inspectionTimeoutMs, signal }: InspectionLimits) {
  const entry = new URL(
    import.meta.url.endsWith('.ts') ? './inspect-child.ts' : './inspect-child.js',
    import.meta.url,
  );
  const child = fork(fileURLToPath(entry), [], {
    serialization: 'advanced',
    execArgv: childOptions(process.execArgv),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let errorTail = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errorTail = (errorTail + text).slice(-errorTailBytes);
  });
  let isLate = false;
  const kill = (): void => void child.kill('SIGKILL');
  const timer = setTimeout(() => {
    isLate = true;
    kill();
  }, timeoutMs);
  const watch = watchMemory(child, inspection.memoryMaxBytes ?? memoryShareMax * totalmem());
  process.once('exit', kill);
  signal?.addEventListener('abort', kill);
  const end = (): void => {
    clearTimeout(timer);
    watch.stop();
    process.off('exit', kill);
    signal?.removeEventListener('abort', kill);
  };
  const ended: Reason = () => {
    if (signal?.aborted) return new EngineError('the check was stopped', { code: 'closed' });
    if (isLate)
      return new EngineError(`expected the check to end within ${timeoutMs / second} s, and it did not`, {
        code: 'timed-out',
        timeoutMs,
      });
    const { exceeded } = watch;
    return exceeded === undefined
      ? undefined
      : new EngineError(`the check's process was ended: ${exceeded}`, { code: 'too-much-memory' });
  };
  return { child, end, ended, errorTail: () => errorTail.trim() };
}

/**
 * Prepares and inspects a file. Throws `EngineError` `timed-out`, `too-much-memory`, `engine-died`, `closed` when the
 * signal says so, and what reading, preparing and inspecting throw, with their codes and messages.
 */
export async function inspectFile(
  inspection: FileInspection,
  limits: InspectionLimits = {},
): Promise<ModelInspection> {
  const { child, end, ended, errorTail } = askChild(inspection, limits);
  try {
    const answer = await new Promise<InspectionAnswer>((resolve, reject) => {
      child.once('message', (message) => resolve(message as InspectionAnswer));
      const die = (reason: string): void => {
        const died = `the check's process ended unexpectedly (${reason})${errorTail() ? `: ${errorTail()}` : ''}`;
        reject(ended() ?? new EngineError(died, { code: 'engine-died', reason }));
      };
      child.once('error', ({ message }) => die(message));
      child.once('close', (exitCode, signal) => die(signal ?? `exit code ${exitCode}`));
      child.send(inspection, () => {
        // A failed send is followed by the child's end.
      });
      if (limits.signal?.aborted) child.kill('SIGKILL');
    });
    if (answer.kind === 'found') return answer.found;
    const { message, facts } = answer.error;
    throw new EngineError(message, { ...facts, code: facts.code as EngineErrorCode });
  } finally {
    end();
    child.kill('SIGKILL');
  }
}
