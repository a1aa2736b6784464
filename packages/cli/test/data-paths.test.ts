import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { settledDataPaths } from '../src/data-paths.ts';

test('settledDataPaths gives paths that mean the same in every folder', () => {
  const here = process.cwd();
  assert.deepEqual(settledDataPaths(['.', here, 'no-such-folder/*.md']), [
    here,
    here,
    join(here, 'no-such-folder/*.md'),
  ]);
});

test('settledDataPaths refuses a path where nothing is', () => {
  assert.throws(() => settledDataPaths(['.', 'no-such-file']), {
    name: 'CliError',
    code: 'bad-option',
    message: '--data: expected a file or a folder, found nothing at no-such-file',
  });
});
