/**
 * Network namespaces of Linux, one per peer, joined by a switch in user space that delays, loses and slows frames and
 * can be split in two. A namespace's only way out is its TAP device, which the switch holds. When its input ends, the
 * switch removes the namespaces, so nothing stays even if this process is killed; `remove` also does it itself. Names
 * begin with `mm<pid>`, so that only what this process made is removed.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { second } from '@murmuration/base';
import { CliError } from '../../src/errors.ts';

export interface LanInit {
  readonly ports: number;
  readonly delayMs: number;
  /** Share of the frames that are lost. */
  readonly loss: number;
  /** Ports whose link carries only so much, in each direction. */
  readonly slow: { readonly ports: readonly number[]; readonly bitsPerSecond: number };
  readonly seed: string;
}

const script = fileURLToPath(new URL('./switch.py', import.meta.url));
/** The switch needs a moment for each namespace; beyond this it hangs. */
const switchEndMs: number = 10 * second;
const subnet = '10.113.7';
/** Where peers listen, inside of their namespaces. */
export const lanPort = 4001;

const run = (program: string, ...options: string[]): string =>
  execFileSync(program, options, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

const names = (port: number): { readonly namespace: string; readonly device: string } => ({
  namespace: `mm${process.pid}-${port}`,
  device: `mm${process.pid}x${port}`,
});

/** Why namespaces cannot be used here, or `undefined` when they can. */
export function whyNoNamespaces(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a part of Linux';
  if (process.getuid?.() !== 0) return 'making network namespaces needs root';
  if (!existsSync('/dev/net/tun')) return 'there is no /dev/net/tun';
  for (const [program, option] of [
    ['ip', '-V'],
    ['python3', '--version'],
  ] as const)
    try {
      run(program, option);
    } catch {
      return `there is no ${program}`;
    }
  const { namespace } = names(99);
  try {
    run('ip', 'netns', 'add', namespace);
    run('ip', 'netns', 'del', namespace);
    return undefined;
  } catch (error) {
    return `making a network namespace failed: ${error instanceof Error ? error.message : error}`;
  }
}

export class Lan {
  readonly #init: LanInit;
  readonly #switch: ChildProcess;
  readonly #answers: Interface;
  readonly #exited: Promise<void>;

  /** Throws what failed, with everything removed again. */
  static async create(init: LanInit): Promise<Lan> {
    const lan = new Lan(init);
    try {
      await lan.#plug();
      return lan;
    } catch (error) {
      await lan.remove();
      throw error;
    }
  }

  private constructor(init: LanInit) {
    this.#init = init;
    const { ports, delayMs, loss, slow, seed } = init;
    const plan = {
      ports: Array.from({ length: ports }, (_, port) => ({
        name: names(port).device,
        namespace: names(port).namespace,
        bitsPerSecond: slow.ports.includes(port) ? slow.bitsPerSecond : null,
      })),
      delayMs,
      loss,
      seed,
    };
    this.#switch = spawn('python3', [script, JSON.stringify(plan)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#switch.stdin?.on('error', () => undefined);
    this.#answers = createInterface({ input: this.#switch.stdout as NodeJS.ReadableStream });
    this.#exited = new Promise((resolve) => {
      this.#switch.once('exit', () => resolve());
      this.#switch.once('error', () => resolve());
    });
  }

  address = (port: number): string => `${subnet}.${port + 1}`;

  /** What to put before a command so that it runs in a port's namespace, as the same process. */
  launcher = (port: number): string[] => ['ip', 'netns', 'exec', names(port).namespace];

  /** From now on frames pass only within these groups of ports. */
  async regroup(groups: readonly (readonly number[])[]): Promise<void> {
    this.#switch.stdin?.write(`${JSON.stringify(groups)}\n`);
    await this.#answer();
  }

  async heal(): Promise<void> {
    await this.regroup([[...Array(this.#init.ports).keys()]]);
  }

  /** How long a TCP connection from one port to another takes: a round trip, or more when the first packet is lost. */
  connectMs(from: number, to: number): number {
    const code = `const s = performance.now();
      require('node:net').connect(${lanPort}, '${this.address(to)}', () => {
        console.log(performance.now() - s); process.exit(0); }).on('error', () => process.exit(1));`;
    const [program = '', ...rest] = this.launcher(from);
    return Number(run(program, ...rest, process.execPath, '-e', code));
  }

  /** Removes the namespaces and ends the switch; safe after a failure at any point, and twice. */
  async remove(): Promise<void> {
    this.#switch.stdin?.end();
    const late = setTimeout(() => this.#switch.kill('SIGKILL'), switchEndMs);
    await this.#exited;
    clearTimeout(late);
    this.removeNow();
  }

  /** For the last moment of this process: no waiting. */
  removeNow(): void {
    this.#switch.kill('SIGKILL');
    const existing = new Set(run('ip', 'netns', 'list').split(/\s+/));
    for (let port = 0; port < this.#init.ports; port++) {
      const { namespace } = names(port);
      if (existing.has(namespace)) run('ip', 'netns', 'del', namespace);
    }
  }

  async #plug(): Promise<void> {
    await this.#answer();
    for (let port = 0; port < this.#init.ports; port++) {
      const { namespace, device } = names(port);
      run('ip', 'netns', 'add', namespace);
      run('ip', 'link', 'set', device, 'netns', namespace);
      run('ip', '-n', namespace, 'addr', 'add', `${this.address(port)}/24`, 'dev', device);
      run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
      run('ip', '-n', namespace, 'link', 'set', device, 'up');
    }
    await this.heal();
  }

  async #answer(): Promise<void> {
    await Promise.race([
      new Promise<void>((resolve) => this.#answers.once('line', () => resolve())),
      this.#exited.then(() => {
        throw new CliError('the switch between the namespaces ended', { code: 'process-failed' });
      }),
    ]);
  }
}
