/** Peak resident memory of processes, as Linux counts it. */
import { readdirSync, readFileSync } from 'node:fs';

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

/** VmHWM of a process in MiB: the most that was resident at once since it began. Undefined where there is no /proc. */
export function peakMB(pid: number | undefined): number | undefined {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? '')?.[1];
  return kib === undefined ? undefined : Number(kib) / 1024;
}

/** Processes that this one has started and that still run. */
export function childPids(): readonly number[] {
  const threads = read('/proc/self/status') === undefined ? [] : readdirSync('/proc/self/task');
  return threads.flatMap((thread) =>
    (read(`/proc/self/task/${thread}/children`) ?? '').split(' ').filter(Boolean).map(Number),
  );
}
