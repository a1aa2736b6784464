import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { prepareCorpus } from '../../src/demo/corpus.ts';
import { CliError } from '../../src/errors.ts';

const directory = mkdtempSync(join(tmpdir(), 'murmuration-corpus-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const linesOf = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'));

test('prepareCorpus writes each language as prose that no other language and no other line repeats', async () => {
  const languages = ['fr', 'hi', 'ar', 'ru', 'es', 'en'];
  const texts = await prepareCorpus(directory, languages);
  assert.deepEqual(
    texts.map(({ language }) => language),
    languages,
  );
  const english = new Set(linesOf(join(directory, 'en')));
  for (const { language, folder, bytes, lines } of texts) {
    const written = linesOf(folder);
    assert.equal(written.length, lines);
    assert.equal(new Set(written).size, lines);
    assert.ok(bytes > 500_000, `${language}: ${bytes} bytes`);
    assert.equal(
      readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0),
      bytes,
    );
    for (const line of written) {
      assert.ok([...line].length >= 25, line);
      assert.ok(!/https?:\/\/\w|```|<\/?(?:div|iframe|img|Tab|p)\b|!\[[^\]]*\]\(/.test(line), line);
      assert.ok(language === 'en' || !english.has(line), line);
    }
  }
});

test('prepareCorpus keeps scripts apart: most letters of Hindi, Arabic and Russian lines are their own', async () => {
  const scripts = { hi: /\p{Script=Devanagari}/gu, ar: /\p{Script=Arabic}/gu, ru: /\p{Script=Cyrillic}/gu };
  for (const [language, script] of Object.entries(scripts)) {
    const [text] = await prepareCorpus(directory, [language]);
    const letters = linesOf(text?.folder as string)
      .join('')
      .match(/\p{L}/gu) as string[];
    const own = letters.join('').match(script)?.length as number;
    assert.ok(own > 0.6 * letters.length, `${language}: ${own} of ${letters.length}`);
  }
});

test('prepareCorpus does not write again what is there, and writes again what is gone or of another recipe', async () => {
  const file = join(directory, 'fr', 'docs.txt');
  const before = statSync(file).mtimeMs;
  const [first] = await prepareCorpus(directory, ['fr']);
  assert.equal(statSync(file).mtimeMs, before);
  rmSync(join(directory, 'fr'), { recursive: true });
  const [second] = await prepareCorpus(directory, ['fr']);
  assert.deepEqual(second, first);
  assert.equal(readFileSync(file).length > 0, true);
  writeFileSync(join(directory, 'corpus.json'), '{"made":"something else"}');
  writeFileSync(file, 'stale');
  await prepareCorpus(directory, ['fr']);
  assert.notEqual(readFileSync(file, 'utf8'), 'stale');
});

test('prepareCorpus names the languages that there are when asked for another', async () => {
  for (const language of ['eo', '..', ''])
    await assert.rejects(
      prepareCorpus(directory, [language]),
      (error) => error instanceof CliError && error.code === 'bad-option' && error.message.includes('fr'),
    );
});
