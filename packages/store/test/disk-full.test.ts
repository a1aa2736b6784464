import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from './temporary-folder.ts';

const unshare = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c'] as const;
const [command, ...isolation] = unshare;

/** A file system of 4 MB needs Linux and the right to make namespaces. */
const canMount =
  spawnSync(command, [...isolation, 'mount -t tmpfs -o size=1m tmpfs /mnt'], { stdio: 'ignore' }).status ===
  0;

test('a full disk is said to be one, and what was stored is there when there is room again', {
  skip: !canMount,
}, (context) => {
  const folder = temporaryFolder(context);
  const script = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"';
  const filler = join(import.meta.dirname, 'disk-filler.ts');
  const child = spawnSync(
    command,
    [...isolation, script, folder, process.execPath, ...process.execArgv, filler, folder],
    { encoding: 'utf8', timeout: 60_000 },
  );
  assert.equal(child.status, 0, child.stderr);
  assert.match(child.stdout, /records kept/);
});
