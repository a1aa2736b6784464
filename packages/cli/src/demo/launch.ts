import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface LaunchInit {
  /** A command that runs another, such as one that enters a network namespace; its process becomes the other's. */
  readonly launcher?: readonly string[] | undefined;
  /** Arguments of Node: a file and what it is told. */
  readonly args: readonly string[];
  onLine(line: string): void;
}

/** A Node process that lives as long as its input is open and tells what it has to say line by line. */
export function launch({ launcher = [], args, onLine }: LaunchInit): ChildProcessWithoutNullStreams {
  const [program = process.execPath, ...rest] = [...launcher, process.execPath, ...args];
  const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
  createInterface({ input: child.stdout }).on('line', onLine);
  return child;
}

export const exitInWords = (code: number | null, signal: NodeJS.Signals | null): string =>
  signal ?? `code ${code}`;
