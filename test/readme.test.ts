import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const murmur = join(root, 'packages/cli/bin/murmur.js');
const documents = ['README.md', 'packages/README.md', 'packages/cli/README.md'];
const scripts = (
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
).scripts;

const read = (document: string): string => readFileSync(join(root, document), 'utf8');
const helps = new Map<string, string>();
function helpOf(...command: string[]): string {
  const name = command.join(' ');
  const help =
    helps.get(name) ?? execFileSync(process.execPath, [murmur, ...command, '--help'], { encoding: 'utf8' });
  helps.set(name, help);
  return help;
}

/** What a command line can say: for a group of commands, what its member can. */
function helpFor(command: string, next: string | undefined): string {
  const help = helpOf(command);
  const isGroup = /^Commands:/m.test(help) && next !== undefined;
  return isGroup ? helpOf(command, next) : help;
}

/** Command lines of murmur in a document's code: what follows `murmur` or `npm run murmur --`. */
const commandLines = (text: string): string[] =>
  [...text.matchAll(/(?:npm run murmur -- |`murmur |^murmur )([a-z][^\n`#]*)/gm)].map((match) =>
    (match[1] ?? '').trim(),
  );

describe('the documents', () => {
  for (const document of documents) {
    test(`${document} names only commands and options that exist`, () => {
      for (const line of commandLines(read(document))) {
        const [command = '', ...words] = line.split(/\s+/);
        const help = helpFor(command, words[0]);
        for (const option of words.filter((word) => word.startsWith('--')))
          assert.ok(help.includes(option), `murmur ${command} has no ${option} (${document})`);
      }
    });

    test(`${document} names only npm scripts that exist`, () => {
      for (const [, script = ''] of read(document).matchAll(/npm run ([a-z]+)/g))
        assert.ok(script in scripts, `package.json has no script ${script} (${document})`);
    });

    test(`${document} links only to files that exist`, () => {
      for (const [, target = ''] of read(document).matchAll(/\]\((?!https?:)([^)#]+)\)/g))
        assert.ok(existsSync(join(root, dirname(document), target)), `${target} (${document})`);
    });
  }

  test('README.md starts with two commands that do everything', () => {
    const text = read('README.md');
    assert.match(text, /npm install && npm run demo/);
    assert.match(text, /npm install && npm test/);
  });
});
