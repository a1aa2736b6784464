/** Markdown to lines of prose: what a language model should learn a language from. */

/** Shorter lines are mostly labels and file names. In code points. */
const lineLengthMin = 25;
/** Share of ASCII letters among a line's letters above which it is English or code, for scripts other than Latin. */
const asciiShareMax = 0.5;
const otherScripts: ReadonlySet<string> = new Set(['ar', 'bn', 'hi', 'ja', 'ko', 'ru', 'uk', 'ur', 'zh']);

/** Whether a language of the corpus is written in Latin letters. */
export const usesLatinScript = (language: string): boolean => !otherScripts.has(language);

/** Whether more than half of a line's letters are ASCII. */
export function isMostlyAscii(line: string): boolean {
  const letters = line.match(/\p{L}/gu) ?? [];
  const ascii = letters.filter((letter) => letter < '\u{80}').length;
  return ascii > letters.length * asciiShareMax;
}

/** Text without the front matter between its first two lines of dashes. */
const dropFrontMatter = (text: string): string =>
  text.replace(/^\uFEFF?---[ \t]*\r?\n[\s\S]*?\n---[ \t]*(?:\r?\n|$)/, '');

/** Lines outside of fenced code. A fence ends with at least as many of its marks; an open one ends with the text. */
function dropFences(text: string): string[] {
  const lines: string[] = [];
  let fence: string | undefined;
  for (const line of text.split(/\r?\n/)) {
    const marks = /^[\s>]*(`{3,}|~{3,})(.*)$/.exec(line);
    if (fence === undefined && marks) fence = marks[1];
    else if (fence === undefined) lines.push(line);
    else if (marks?.[1]?.startsWith(fence) && marks[2]?.trim() === '') fence = undefined;
  }
  return lines;
}

/** Comments, tags that may span lines, pictures, and link targets are gone; what a reader would see stays. */
const dropMarkup = (text: string): string =>
  text
    .replace(/<!--[\s\S]*?-->/g, ' ')
    .replace(/<\/?[A-Za-z](?:"[^"]*"|[^<>"])*>/g, ' ')
    .replace(/!\[[^\]\n]*\]\([^)\n]*\)/g, ' ')
    .replace(/\[([^\]\n]*)\]\([^)\n]*\)/g, '$1')
    .replace(/^\s*\[[^\]\n]+\]:.*$/gm, ' ')
    .replace(/\b(?:https?:\/\/|www\.)[^\s)>"'`\]]+/g, ' ')
    .replace(/&(?:[a-z]+|#\d+|#x[\da-f]+);/gi, ' ');

/** One line without the marks of headings, lists, quotations, tables and emphasis. */
const plainLine = (line: string): string =>
  line
    .replace(/^[\s>]*(?:#{1,6}\s+|[-*+]\s+(?:\[[ xX]\]\s+)?|\d+[.)]\s+)?/, '')
    .replace(/^\[![A-Z]+\]/, '')
    .replace(/`|\*+|~~|__+|\\(?=[^\w\s])/g, '')
    .replace(/(^|[\s("])_([^_]+)_(?!\w)/g, '$1$2')
    .replace(/[|\s\u200B]+/g, ' ')
    .trim();

/**
 * The prose lines of a Markdown page, in order: no front matter, fenced code, markup, URLs, table rules, or lines of
 * fewer than 25 characters.
 */
export function cleanMarkdown(page: string): string[] {
  const text = dropMarkup(dropFences(dropFrontMatter(page)).join('\n'));
  return text
    .split('\n')
    .map(plainLine)
    .filter((line) => [...line].length >= lineLengthMin && /\p{L}{2}/u.test(line));
}
