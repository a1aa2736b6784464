import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { KiB } from '@murmuration/base';
import { memoryWatchMs } from './defaults.ts';

/** Ends a process that takes too much memory. */
export interface MemoryWatch {
  /** Why the process was ended, if it was. */
  readonly exceeded: string | undefined;
  stop(): void;
}

/** Resident memory of a process, bytes; unknown where the system has no /proc, or the process is gone. */
function residentBytes(pid: number): number | undefined {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kibibytes === undefined ? undefined : Number(kibibytes) * KiB;
  } catch {
    return undefined;
  }
}

/** Looks at a child's resident memory from outside, since a running graph answers nobody. Linux only. */
export function watchMemory(child: ChildProcess, bytesMax: number): MemoryWatch {
  let exceeded: string | undefined;
  const timer = setInterval(() => {
    const bytes = child.pid === undefined ? undefined : residentBytes(child.pid);
    if (bytes === undefined || bytes <= bytesMax) return;
    exceeded = `it held ${bytes} bytes of memory, at most ${Math.floor(bytesMax)} are allowed`;
    child.kill('SIGKILL');
  }, memoryWatchMs);
  timer.unref();
  return {
    get exceeded() {
      return exceeded;
    },
    stop: () => clearInterval(timer),
  };
}
