import assert from 'node:assert/strict';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { GiB } from '@murmuration/base';
import { readCorpus, readWholeText } from '../src/corpus.ts';
import { binaryProbeBytes, textBytesMax } from '../src/defaults.ts';
import { readTextFiles } from '../src/text-files.ts';
import { french, temporaryFolder } from './setting.ts';

test('readTextFiles reads folders in order, without hidden, empty or binary files, each file once', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'b'));
  mkdirSync(join(folder, '.git'));
  writeFileSync(join(folder, 'c.txt'), 'third');
  writeFileSync(join(folder, 'a.md'), 'first');
  writeFileSync(join(folder, 'b', 'x.txt'), 'second');
  writeFileSync(join(folder, '.git', 'config'), 'hidden');
  writeFileSync(join(folder, 'image.png'), Buffer.from([1, 2, 0, 3]));
  const texts = (paths: string[]): string[] =>
    readTextFiles(paths).map(({ bytes }) => Buffer.from(bytes).toString());
  assert.deepEqual(texts([folder]), ['first', 'second', 'third']);
  assert.deepEqual(texts([join(folder, 'c.txt'), folder]), ['third', 'first', 'second']);
  assert.deepEqual(texts([join(folder, '*.txt')]), ['third']);
});

test('readTextFiles does not read the whole of a large file to find that it is none', (t) => {
  const folder = temporaryFolder(t);
  const large = join(folder, 'large');
  writeFileSync(join(folder, 'a.txt'), 'first');
  writeFileSync(large, Buffer.alloc(100));
  truncateSync(large, 3 * GiB);
  assert.equal(readTextFiles([folder]).length, 1);
  writeFileSync(large, 'a'.repeat(binaryProbeBytes));
  truncateSync(large, textBytesMax + 1);
  assert.throws(() => readTextFiles([folder]), { code: 'too-much-text' });
});

test('readTextFiles refuses paths that are missing, empty, or hold no text', (t) => {
  const folder = temporaryFolder(t);
  const missing = join(folder, 'missing');
  assert.throws(() => readTextFiles([missing]), {
    code: 'bad-data-path',
    message: /missing: expected a text file/,
  });
  assert.throws(() => readTextFiles([folder]), {
    code: 'bad-data-path',
    message: /expected text files, found none/,
  });
  assert.throws(() => readTextFiles([join(folder, '*.txt')]), { code: 'bad-data-path' });
  writeFileSync(join(folder, 'empty.txt'), '');
  writeFileSync(join(folder, 'binary'), Buffer.alloc(100));
  assert.throws(() => readTextFiles([french, folder]), {
    code: 'bad-data-path',
    message: /2 files there are empty or binary/,
  });
});

test('readCorpus refuses too little text', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'short.txt');
  for (const text of ['hello', 'one line\n'.repeat(2_000)]) {
    writeFileSync(path, text);
    assert.throws(() => readCorpus([path], 'seed', 32), { code: 'too-little-text' });
  }
  assert.throws(() => readCorpus([french], 'seed', 1_000_000), { code: 'too-little-text' });
});

test('readCorpus keeps every held-out stretch out of training', () => {
  const { training, heldOut } = readCorpus([french], 'seed', 32);
  assert.ok(heldOut.bytes > 4_000 && training.bytes > 8 * heldOut.bytes * 0.5);
  assert.equal(readWholeText([french]).bytes >= training.bytes + heldOut.bytes, true);
  const text = (tokens: Uint16Array): string =>
    Buffer.from(tokens.filter((token) => token < 256)).toString('latin1');
  const known = text(training.tokens);
  const windows = text(heldOut.tokens).match(/[^\n]{80,}/g) ?? [];
  assert.ok(windows.length > 10);
  for (const line of windows) assert.ok(!known.includes(line), line);
});
