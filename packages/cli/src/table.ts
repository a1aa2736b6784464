import { padWidth, printable, textWidth } from './text-width.ts';

const gap = '  ';

/**
 * Rows under a header, columns aligned: by default the first to the left, the others (numbers, mostly) to the right.
 * Missing cells are blank.
 */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  align: readonly ('left' | 'right')[] = header.map((_, column) => (column === 0 ? 'left' : 'right')),
): string {
  const lines = [header, ...rows].map((row) => header.map((_, column) => printable(row[column] ?? '')));
  const widths = header.map((_, column) => Math.max(...lines.map((row) => textWidth(row[column] as string))));
  const format = (row: readonly string[]): string =>
    row
      .map((cell, column) => padWidth(cell, widths[column] as number, align[column] ?? 'right'))
      .join(gap)
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join(gap);
  const [first, ...others] = lines.map(format);
  return [first, rule, ...others].join('\n');
}
