/** PyTorch in a process of its own: `scripts/step-pytorch.py`, a line of JSON in and one out. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../scripts/step-pytorch.py', import.meta.url));

export class PyTorch {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  constructor() {
    this.#child = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#child.on('error', () => undefined);
    this.#child.stdin?.on('error', () => undefined);
    this.#reader = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  async #ask(request: object): Promise<Record<string, unknown> | undefined> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { done, value } = await this.#lines.next();
    return done ? undefined : (JSON.parse(value) as Record<string, unknown>);
  }

  /** Builds a model; false when there is no PyTorch. */
  async build(settings: object, threads: number, compile: boolean): Promise<boolean> {
    return (await this.#ask({ ...settings, threads, compile })) !== undefined;
  }

  /** Mean milliseconds of so many steps; undefined when the process has ended. */
  async train(steps: number): Promise<number | undefined> {
    const answer = await this.#ask({ steps });
    const times = answer?.ms as readonly number[] | undefined;
    return times && times.reduce((sum, ms) => sum + ms, 0) / times.length;
  }

  /** An ONNX file of the model with its loss. Throws when PyTorch or its exporter is missing. */
  async export(
    settings: object,
    how: { readonly dynamo: boolean; readonly opset: number },
  ): Promise<Uint8Array> {
    const folder = mkdtempSync(join(tmpdir(), 'murmuration-export-'));
    const path = join(folder, 'model.onnx');
    try {
      const built = await this.build(settings, 1, false);
      if (!built || !(await this.#ask({ export: path, ...how })))
        throw new Error('PyTorch or its exporter is missing: pip install torch onnx onnxscript');
      return readFileSync(path);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  close(): void {
    this.#child.stdin?.end();
    this.#reader.close();
    this.#child.kill();
  }
}
