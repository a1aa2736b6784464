const bytesUnits = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;
const countUnits = ['', 'k', 'M', 'G', 'T', 'P'] as const;

/** Three digits, and the unit that they are in; 999.6 of one unit are 1.00 of the next. */
function threeDigits(value: number, units: readonly string[]): { digits: string; unit: string } {
  let rest = value;
  let power = 0;
  while (Math.abs(rest) >= (power === 0 ? 1_000 : 999.5) && power < units.length - 1) {
    rest /= 1_000;
    power++;
  }
  const decimals = power === 0 ? 0 : Math.abs(rest) < 9.995 ? 2 : Math.abs(rest) < 99.95 ? 1 : 0;
  return { digits: rest.toFixed(decimals), unit: units[power] as string };
}

/** Bytes for people: `512 B`, `4.10 kB`, `1.23 MB` (powers of 1,000). */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return '–';
  const { digits, unit } = threeDigits(Math.round(bytes), bytesUnits);
  return `${digits} ${unit}`;
}

/** Counts for people: `512`, `4.10k`, `1.23M`. */
export function formatCount(count: number): string {
  if (!Number.isFinite(count)) return '–';
  const { digits, unit } = threeDigits(Math.round(count), countUnits);
  return `${digits}${unit}`;
}

/** A share for people: `95.3 %`. */
export const formatShare = (share: number): string =>
  Number.isFinite(share) ? `${(100 * share).toFixed(1)} %` : '–';

const durationUnits = [
  { name: 'd', ms: 86_400_000 },
  { name: 'h', ms: 3_600_000 },
  { name: 'min', ms: 60_000 },
  { name: 's', ms: 1_000 },
] as const;

/** A duration for people, in its two largest units: `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d`. */
export function formatDuration(durationMs: number): string {
  if (!Number.isFinite(durationMs)) return '–';
  const whole = Math.max(0, Math.round(durationMs));
  if (whole < 1_000) return `${whole} ms`;
  const first = durationUnits.findIndex(({ ms }) => whole >= ms);
  const large = durationUnits[first] as (typeof durationUnits)[number];
  const small = durationUnits[first + 1];
  if (!small) return `${Math.floor(whole / large.ms)} ${large.name}`;
  const rest = Math.floor((whole % large.ms) / small.ms);
  return `${Math.floor(whole / large.ms)} ${large.name}${rest > 0 ? ` ${rest} ${small.name}` : ''}`;
}
