import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cleanMarkdown, isMostlyAscii } from '../../src/demo/prose.ts';

const page = `---
title: the front matter of this page is long enough to be kept
---

# A heading with some words of its own

<iframe title="a tag that spans
two lines of the page" src="https://example.org/video"/>

- A **bold** claim about \`code\`, with [a link](https://example.org/a) and _emphasis_ inside
> A quotation that is long enough, see https://example.org/page for nothing

\`\`\`\`ts title="a fence of four"
const insideTheFence = 'this line is code and must go away';
\`\`\`
still inside of the fence of four, to be dropped
\`\`\`\`

![a picture with a long description](https://example.org/picture.png)
short line
| a cell with words of prose | another cell of the table |
| -------------------------- | ------------------------- |
1. An ordered item that is long enough to stay
`;

test('cleanMarkdown keeps what a reader sees and nothing else', () => {
  assert.deepEqual(cleanMarkdown(page), [
    'A heading with some words of its own',
    'A bold claim about code, with a link and emphasis inside',
    'A quotation that is long enough, see for nothing',
    'a cell with words of prose another cell of the table',
    'An ordered item that is long enough to stay',
  ]);
});

test('cleanMarkdown takes any text, quickly', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('<', '`', '[', ']', '(', '!', '-', '\n', 'a', ' ', '|', '*') }),
      (text) => {
        for (const line of cleanMarkdown(text)) assert.ok(line.length >= 25);
      },
    ),
  );
  const started = performance.now();
  cleanMarkdown('<'.repeat(5_000));
  cleanMarkdown('[!['.repeat(5_000));
  cleanMarkdown('<!--'.repeat(5_000));
  assert.ok(performance.now() - started < 5_000);
});

test('isMostlyAscii compares letters only', () => {
  assert.ok(isMostlyAscii('npm install всё 12345'));
  assert.ok(!isMostlyAscii('установите npm, 123 (!)'));
});
