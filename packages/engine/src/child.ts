/** The child process: messages in, calls of the engine, messages out. It ends as soon as its parent is gone. */
import { writeSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { createChildEngine, type ServedEngine } from './child-engine.ts';
import { EngineError } from './errors.ts';
import { type ChildInit, type Request, type Response, toErrorMessage } from './messages.ts';
import { createSchedule } from './schedule.ts';

const nicenessMax = 19;
const schedule = createSchedule();
let engine: ServedEngine | undefined;

const send = (response: Response, sent = (): void => undefined): void => {
  if (process.connected) process.send?.(response, sent);
};

/** Vectors on a device that failed are lost: the parent may start again from the checkpoint. */
function endWithDevice(error: unknown): void {
  if (!(error instanceof EngineError) || error.code !== 'device-failed') return;
  writeSync(process.stderr.fd, `${error.message}\n`);
  process.exit(1);
}

async function start(init: ChildInit): Promise<void> {
  try {
    setPriority(Math.min(nicenessMax, getPriority() + init.niceness));
    engine = await createChildEngine(init, schedule, (progress) => send({ kind: 'progress', progress }));
    send({ kind: 'ready' });
  } catch (error) {
    send({ kind: 'failed', error: toErrorMessage(error) });
  }
}

async function answer({ id, call, parameters }: Extract<Request, { kind: 'call' }>): Promise<void> {
  const sent = call === 'close' ? (): void => process.exit(0) : undefined;
  try {
    const serve = engine?.[call].bind(engine) as ((...given: readonly unknown[]) => unknown) | undefined;
    const value = serve?.(...parameters);
    const unflushed = engine?.takeUnflushed();
    send({ kind: 'value', id, value: await value, unflushed }, sent);
  } catch (error) {
    endWithDevice(error);
    send({ kind: 'error', id, error: toErrorMessage(error) }, sent);
  }
}

process.on('disconnect', () => process.exit(0));
// An interrupt in a terminal reaches the whole group; the parent decides when its engine ends.
process.on('SIGINT', () => undefined);
process.on('message', (request: Request) => {
  if (request.kind === 'init') void start(request.init);
  else if (request.kind === 'flushed') engine?.flushed(request.path);
  else
    schedule.serve(
      () => void answer(request),
      () => engine?.prepare(request.call)?.catch(endWithDevice),
    );
});
