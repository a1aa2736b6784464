/** Curves as an SVG that stands alone. */
import { scaleLinear, scaleLog } from 'd3-scale';
import { line } from 'd3-shape';

export interface Series {
  readonly label: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
}

const [width, height] = [760, 440];
const margin = { left: 64, right: 190, top: 44, bottom: 52 };
/** Distinguishable in print and by colour-blind readers (Okabe & Ito). */
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];

const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

const text = (x: number, y: number, content: string, more = ''): string =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escaped(content)}</text>`;

/** 1,200,000 as 1.2 M. */
const short = (value: number): string =>
  new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 }).format(value);

/** The x axis is logarithmic; points at 0 and below are left out, and series that have no others. */
export function drawChart({ title, xLabel, yLabel, series }: Chart): string {
  const shown = series
    .map(({ label, points }) => ({ label, points: points.filter(([x]) => x > 0) }))
    .filter(({ points }) => points.length > 0);
  const all = shown.flatMap(({ points }) => points);
  const xs = all.map(([x]) => x);
  const ys = all.map(([, y]) => y);
  const [left, right, top, bottom] = [margin.left, width - margin.right, margin.top, height - margin.bottom];
  const x = scaleLog([Math.min(...xs), Math.max(...xs)], [left, right]);
  const y = scaleLinear([Math.min(...ys), Math.max(...ys)], [bottom, top]).nice();
  const path = line<readonly [number, number]>(
    ([at]) => x(at),
    ([, at]) => y(at),
  ).digits(1);
  const xTicks = x.ticks(4).filter((tick) => Number.isInteger(Math.log10(tick)));
  const parts = [
    ...y
      .ticks(6)
      .flatMap((tick) => [
        `<line x1="${left}" x2="${right}" y1="${y(tick)}" y2="${y(tick)}" stroke="#ddd"/>`,
        text(left - 8, y(tick) + 4, String(tick), 'text-anchor="end"'),
      ]),
    ...(xTicks.length > 1 ? xTicks : x.ticks(3)).flatMap((tick) => [
      `<line x1="${x(tick)}" x2="${x(tick)}" y1="${top}" y2="${bottom}" stroke="#ddd"/>`,
      text(x(tick), bottom + 18, short(tick), 'text-anchor="middle"'),
    ]),
    text(left, 24, title, 'font-size="15" font-weight="bold"'),
    text((left + right) / 2, height - 12, xLabel, 'text-anchor="middle"'),
    text(
      16,
      (top + bottom) / 2,
      yLabel,
      `text-anchor="middle" transform="rotate(-90 16 ${(top + bottom) / 2})"`,
    ),
    ...shown.flatMap(({ label, points }, index) => {
      const colour = colours[index % colours.length] as string;
      const at = top + 10 + 20 * index;
      return [
        `<path d="${path(points) ?? ''}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        `<line x1="${right + 12}" x2="${right + 32}" y1="${at}" y2="${at}" stroke="${colour}" stroke-width="3"/>`,
        text(right + 38, at + 4, label),
      ];
    }),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
      `viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}
