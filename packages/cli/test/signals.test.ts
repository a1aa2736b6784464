import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';

/** What a busy machine needs for something that takes no time. */
const soonMs = 30_000;

const signalsModule = pathToFileURL(join(import.meta.dirname, '../src/signals.ts')).href;

/** A process that runs for ever unless `stop` ends it; resolves when its handlers are in place. */
async function start(context: TestContext, stop: string) {
  const script = `import { stopOnSignals } from ${JSON.stringify(signalsModule)};
    const work = setInterval(() => undefined, 1_000);
    const watch = stopOnSignals(${stop});
    process.stdout.write('ready');`;
  const child = spawn(process.execPath, [...process.execArgv, '--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: import.meta.dirname,
  });
  context.after(() => child.kill('SIGKILL'));
  const errors = text(child.stderr);
  await once(child.stdout, 'data');
  const started = performance.now();
  const ended = once(child, 'exit').then(async ([exitCode, signal]) => ({
    exitCode,
    signal,
    tookMs: performance.now() - started,
    errors: await errors,
  }));
  return { child, ended };
}

for (const [signal, expected] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  test(`stopOnSignals stops cleanly on ${signal} and exits with ${expected}`, async (context) => {
    const stop = `async () => { process.stdout.write('stopped'); clearInterval(work); watch.dispose(); }`;
    const { child, ended } = await start(context, stop);
    child.kill(signal);
    const { exitCode, tookMs, errors } = await ended;
    assert.equal(exitCode, expected);
    assert.ok(tookMs < soonMs, `${tookMs} ms`);
    assert.match(errors, /once more to stop at once/);
    assert.doesNotMatch(errors, /not stopped within/);
  });

test('stopOnSignals tells that it stops where it is asked to', async (context) => {
  const stop = `() => { clearInterval(work); watch.dispose(); }`;
  const { child, ended } = await start(context, `${stop}, (line) => console.error('told: ' + line)`);
  child.kill('SIGINT');
  const { errors } = await ended;
  assert.equal(errors, 'told: stopping; once more to stop at once\n');
});

test('stopOnSignals ends the process after 2 s when stop never comes back', async (context) => {
  const { child, ended } = await start(context, '() => new Promise(() => undefined)');
  child.kill('SIGINT');
  const { exitCode, tookMs, errors } = await ended;
  assert.equal(exitCode, 130);
  assert.ok(tookMs > 1_900 && tookMs < soonMs, `${tookMs} ms`);
  assert.match(errors, /not stopped within 2 s/);
});

test('stopOnSignals ends the process at once on the second signal', async (context) => {
  const { child, ended } = await start(context, '() => process.stdout.write("stopping")');
  child.kill('SIGINT');
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  const { exitCode, tookMs, errors } = await ended;
  assert.equal(exitCode, 130);
  assert.ok(tookMs < soonMs, `${tookMs} ms`);
  assert.doesNotMatch(errors, /not stopped within/);
});

test('stopOnSignals says what went wrong while stopping', async (context) => {
  const { child, ended } = await start(context, '() => { throw new Error("the disk is gone"); }');
  child.kill('SIGTERM');
  const { exitCode, errors } = await ended;
  assert.equal(exitCode, 143);
  assert.match(errors, /the disk is gone/);
});

test('SignalWatch.dispose gives the signals back', async (context) => {
  const { child, ended } = await start(context, '() => undefined); watch.dispose(');
  child.kill('SIGINT');
  assert.equal((await ended).signal, 'SIGINT');
});
