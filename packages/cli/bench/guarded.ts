import type { Lan } from './namespaces/lan.ts';

/** Processes that a benchmark started. */
export interface Processes {
  stop(): Promise<void>;
  /** For the last moment of this process: no waiting. */
  killNow(): void;
}

/** Whatever happens, no process or namespace of ours is left. */
export async function guarded<T>(
  { fleet, lan }: { readonly fleet: Processes; readonly lan?: Lan | undefined },
  play: () => Promise<T>,
): Promise<T> {
  const last = (): void => {
    fleet.killNow();
    lan?.removeNow();
  };
  const interrupt = (): void => process.exit(130);
  process.once('exit', last).once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    return await play();
  } finally {
    await fleet.stop();
    await lan?.remove();
    process.off('exit', last).off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}
