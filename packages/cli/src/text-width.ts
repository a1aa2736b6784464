/**
 * How many columns of a terminal a text takes. Terminals differ for rare scripts; these rules are those of `wcwidth`.
 */

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });
const withoutWidth = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
const emoji = /\p{Emoji_Presentation}|\p{Extended_Pictographic}\u{FE0F}|\p{Regional_Indicator}{2}/u;
/** East Asian wide and full-width characters (Unicode Standard Annex 11). */
const wide =
  /^[\u{1100}-\u{115F}\u{2E80}-\u{303E}\u{3041}-\u{A4CF}\u{A960}-\u{A97F}\u{AC00}-\u{D7A3}\u{F900}-\u{FAFF}\u{FE30}-\u{FE6F}\u{FF00}-\u{FF60}\u{FFE0}-\u{FFE6}\u{20000}-\u{3FFFD}]$/u;

function graphemeWidth(grapheme: string): number {
  if (emoji.test(grapheme)) return 2;
  let width = 0;
  for (const character of grapheme) width += withoutWidth.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return width;
}

/** Without control characters: a run's name, or an error that quotes a peer or a file, must not steer the terminal. */
export const printable = (text: string): string => text.replace(/[\p{Cc}\u{2028}\u{2029}]/gu, ' ');

/** The same for text of several lines, which stay. */
export const printableLines = (text: string): string => text.split('\n').map(printable).join('\n');

/** Columns that a line takes. */
export function textWidth(text: string): number {
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

/** The line, cut with `…` so that it takes at most `columns` columns. */
export function fitWidth(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  let fitted = '';
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    width += graphemeWidth(segment);
    if (width > columns - 1) break;
    fitted += segment;
  }
  return columns < 1 ? '' : `${fitted}…`;
}

/** The line, filled with blanks on one side to `columns` columns. */
export function padWidth(text: string, columns: number, side: 'left' | 'right'): string {
  const blanks = ' '.repeat(Math.max(0, columns - textWidth(text)));
  return side === 'left' ? text + blanks : blanks + text;
}
