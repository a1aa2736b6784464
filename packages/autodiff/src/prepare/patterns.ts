const escaped = (text: string): string => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&');

/** Whether a name matches one of the patterns, in which `*` stands for any text; a pattern without `*` for any part. */
export function matchesPattern(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.includes('*')
      ? new RegExp(`^${pattern.split('*').map(escaped).join('.*')}$`, 's').test(name)
      : name.includes(pattern),
  );
}
