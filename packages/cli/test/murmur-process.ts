/** The command `murmur` as a process of its own, for tests that speak to it as a shell or a script would. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The file that Node starts. */
export const murmur: string = fileURLToPath(new URL('../bin/murmur.js', import.meta.url));

export interface Exit {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const startMurmur = (args: readonly string[]): ChildProcess =>
  spawn(process.execPath, [murmur, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });

/** What a process said, once it has ended. */
export function exitOf(child: ChildProcess): Promise<Exit> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (data: Buffer) => {
    stdout += data.toString();
  });
  child.stderr?.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

export const runMurmur = (...args: string[]): Promise<Exit> => exitOf(startMurmur(args));

type Line = Record<string, unknown>;

/** Resolves with the first JSON line that this accepts. */
export function lineOf(child: ChildProcess, accepts: (line: Line) => boolean): Promise<Line> {
  return new Promise((resolve, reject) => {
    if (!child.stdout) return reject(new Error('no output to read'));
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as Line;
      if (accepts(line)) resolve(line);
    });
    child.once('close', (code) => reject(new Error(`ended with code ${code} before that line`)));
  });
}

export const isKind =
  (kind: string) =>
  (line: Line): boolean =>
    line.kind === kind;
