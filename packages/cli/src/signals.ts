import { exitCodes } from './exit-codes.ts';

const exitCodeOf = {
  SIGINT: exitCodes.interrupted,
  SIGHUP: exitCodes.hungUp,
  SIGTERM: exitCodes.terminated,
} as const;

type StopSignal = keyof typeof exitCodeOf;
const stopSignals = Object.keys(exitCodeOf) as StopSignal[];

/** A clean stop closes sockets and writes a checkpoint; whoever pressed Ctrl-C waits no longer than this. */
const stopTimeoutMs = 2_000;

export interface SignalWatch {
  /** Gives the signals back to Node. */
  dispose(): void;
}

const tellError = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/**
 * On the first Ctrl-C (or SIGTERM, SIGHUP) calls `stop`, which has 2 s; on the second, or when the time is over, ends
 * the process at once. Either way the exit code is 128 + the signal's number. Where lines are drawn in place, `tell`
 * says so among them; without it standard error does.
 */
export function stopOnSignals(stop: () => unknown, tell: (line: string) => void = tellError): SignalWatch {
  let isStopping = false;
  let deadline: NodeJS.Timeout | undefined;

  const onSignal = (signal: StopSignal): void => {
    const exitCode = exitCodeOf[signal];
    if (isStopping) process.exit(exitCode);
    isStopping = true;
    process.exitCode = exitCode;
    tell('stopping; once more to stop at once');
    deadline = setTimeout(() => {
      tell(`not stopped within ${stopTimeoutMs / 1_000} s, ending now`);
      process.exit(exitCode);
    }, stopTimeoutMs);
    deadline.unref();
    Promise.resolve()
      .then(stop)
      .catch((error: unknown) => {
        console.error(error);
        process.exit(exitCode);
      });
  };

  for (const signal of stopSignals) process.on(signal, onSignal);
  return {
    dispose() {
      clearTimeout(deadline);
      for (const signal of stopSignals) process.off(signal, onSignal);
    },
  };
}
