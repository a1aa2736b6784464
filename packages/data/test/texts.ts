import { createRandom } from '@murmuration/base';
import fc from 'fast-check';
import type { Document } from '../src/index.ts';

const words = [
  'the',
  'flock',
  'turns',
  'as',
  'one',
  'звезда',
  'étourneau',
  'चिड़िया',
  'طائر',
  'while',
  'nobody',
  'leads',
];

/** A line of 3 to 30 words, always the same for the same seed and number; no line ends with another. */
export function lineOf(seed: string, i: number): string {
  const random = createRandom(`${seed} ${i}`);
  const text = Array.from({ length: 3 + random.below(28) }, () => words[random.below(words.length)]);
  return [`#${i}`, ...text].join(' ');
}

export const documentOf = (name: string, text: string): Document => ({
  name,
  bytes: new TextEncoder().encode(text),
});

/** `count` lines of a seed as one document. */
export const textOf = (seed: string, count: number, from = 0): string =>
  Array.from({ length: count }, (_, i) => `${lineOf(seed, from + i)}\n`).join('');

/** Up to 6 documents made of passages from one pool of lines, so that passages and whole documents occur twice. */
export const anyDocuments: fc.Arbitrary<Document[]> = fc
  .tuple(
    fc.string({ maxLength: 6 }),
    fc.array(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 1, max: 120 })), {
        minLength: 1,
        maxLength: 6,
      }),
      { minLength: 1, maxLength: 6 },
    ),
  )
  .map(([seed, documents]) =>
    documents.map((passages, index) =>
      documentOf(`${index}`, passages.map(([from, count]) => textOf(seed, count, from)).join('')),
    ),
  );
