import { listedNamesMax } from '../defaults.ts';

/** Whether a name is the pattern's parts with any text in between: each part is looked for once, from left to right. */
function matchesWhole(name: string, [first = '', ...parts]: readonly string[]): boolean {
  const last = parts.pop() ?? '';
  if (!name.startsWith(first)) return false;
  let from = first.length;
  for (const part of parts) {
    const at = name.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return name.length - last.length >= from && name.endsWith(last);
}

/** Whether a name matches one of the patterns, in which `*` stands for any text; a pattern without `*` for any part. */
export function matchesPattern(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.includes('*') ? matchesWhole(name, pattern.split('*')) : name.includes(pattern),
  );
}

/** Names for an error, with `…` where there are more than a reader wants. */
export function firstNames(names: ReadonlySet<string>): string {
  const listed = [...names].slice(0, listedNamesMax).join(', ');
  return names.size > listedNamesMax ? `${listed}, …` : listed;
}
