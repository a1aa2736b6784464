/**
 * What happened, as text: time runs to the right, one row per peer, one character for what was most remarkable in each
 * piece of time. Long runs take several panels below each other. README.md says how to read it.
 */
import type { Outcome } from './outcome.ts';
import type { Fault } from './scenario.ts';
import type { Happening, Mark } from './trace.ts';

export interface DrawOptions {
  /** Characters per line. */
  readonly width?: number;
}

/** Characters and their meaning; what comes first hides what comes later in the same piece of time. */
const signs: readonly (readonly [Mark, string, string])[] = [
  ['vanish', '†', 'gone for good'],
  ['stop', 'x', 'stops'],
  ['restore', 'b', 'back from a backup'],
  ['start', '^', 'starts'],
  ['install', 'i', 'installs a state'],
  ['admitted', 'a', 'a guest is admitted'],
  ['undo', 'u', 'undoes a block'],
  ['final', '#', 'block final'],
  ['skip', 's', 'votes skip'],
  ['propose', 'P', 'proposes'],
  ['finalize', 'f', 'votes finalize'],
  ['notarize', 'n', 'votes notarize'],
  ['contribute', 'c', 'announces a delta'],
  ['apply', '+', 'applies a block'],
  ['pause', 'z', 'stands still'],
];
const rankOf = new Map(signs.map(([mark], rank) => [mark, rank]));

const widthDefault = 100;
const panelsMax = 4;
const rowsMax = 24;
const bucketsMs = [10, 20, 25, 50, 100, 200, 250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 60_000];
const labelWidth = 12;
const tickEvery = 10;

interface Panel {
  readonly fromMs: number;
  readonly bucketMs: number;
  readonly columns: number;
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(ms % 1_000 === 0 ? 0 : 1)}s`;
const columnOf = ({ fromMs, bucketMs }: Panel, atMs: number): number =>
  Math.floor((atMs - fromMs) / bucketMs);

function panelsOf(elapsedMs: number, columns: number): Panel[] {
  const bucketMs =
    bucketsMs.find((bucket) => elapsedMs / bucket <= columns * panelsMax) ?? (bucketsMs.at(-1) as number);
  const count = Math.min(panelsMax, Math.max(1, Math.ceil((elapsedMs + 1) / (bucketMs * columns))));
  return Array.from({ length: count }, (_, index) => ({
    fromMs: index * bucketMs * columns,
    bucketMs,
    columns,
  }));
}

/** Words written at their columns; one that would touch the word before it is left out. */
function annotate(panel: Panel, words: readonly (readonly [atMs: number, word: string])[]): string {
  let line = '';
  for (const [atMs, word] of words) {
    const column = columnOf(panel, atMs);
    const isFree = column >= line.length + (line === '' ? 0 : 1);
    if (column >= 0 && isFree && column + word.length <= panel.columns) line = line.padEnd(column) + word;
  }
  return line;
}

const row = (label: string, line: string): string => `${label.padEnd(labelWidth)}${line}`.trimEnd();

/** One peer's line: blank while it is down, `~` while it stands still. */
function lineOf(
  panel: Panel,
  happenings: readonly Happening[],
  faults: readonly Fault[],
  peer: number,
): string {
  const cells: string[] = [];
  const ranks: number[] = [];
  let isUp = false;
  let at = 0;
  const own = happenings.filter((happening) => happening.peer === peer);
  for (let column = 0; column < panel.columns; column++) {
    const endMs = panel.fromMs + (column + 1) * panel.bucketMs;
    for (; at < own.length && (own[at] as Happening).atMs < endMs; at++) {
      const { mark, atMs } = own[at] as Happening;
      if (mark === 'start') isUp = true;
      if (mark === 'stop') isUp = false;
      const rank = rankOf.get(mark);
      if (rank === undefined || atMs < panel.fromMs || rank >= (ranks[column] ?? signs.length)) continue;
      ranks[column] = rank;
      cells[column] = signs[rank]?.[1] ?? '?';
    }
    const isPaused = faults.some(
      (fault) =>
        fault.kind === 'pause' && fault.peer === peer && fault.fromMs < endMs && fault.untilMs >= endMs,
    );
    cells[column] ??= isPaused ? '~' : isUp ? '·' : ' ';
  }
  return cells.join('');
}

/** A bar for the time of each partition. */
function cutLines(panel: Panel, faults: readonly Fault[]): string[] {
  return faults.flatMap((fault) => {
    if (fault.kind !== 'partition') return [];
    const from = Math.max(0, columnOf(panel, fault.fromMs));
    const until = Math.min(panel.columns, columnOf(panel, fault.untilMs ?? Number.POSITIVE_INFINITY));
    if (until <= from) return [];
    const label = `cut ${fault.side.join(',')}${fault.oneWay ? '→' : ''}`.slice(0, labelWidth - 1);
    return [row(label, ' '.repeat(from) + '─'.repeat(until - from))];
  });
}

function panelLines(panel: Panel, outcome: Outcome): string[] {
  const { scenario, happenings, finalAtMs, peers, elapsedMs } = outcome;
  const columns = Math.min(panel.columns, columnOf(panel, elapsedMs) + 1);
  const own = { ...panel, columns };
  const ticks = Array.from({ length: Math.ceil(panel.columns / tickEvery) }, (_, tick): [number, string] => {
    const atMs = panel.fromMs + tick * tickEvery * panel.bucketMs;
    return [atMs, seconds(atMs)];
  });
  const finals = finalAtMs.flatMap((atMs, height): [number, string][] => [[atMs, String(height)]]);
  const indices = [...new Set(peers.map(({ index }) => index))];
  const shown = indices.slice(0, rowsMax);
  const kindOf = (index: number): string => {
    if (scenario.liars.some(({ peer }) => peer === index)) return 'liar';
    return index < scenario.members ? 'member' : 'guest';
  };
  return [
    row('time', annotate(own, ticks)),
    row('final height', annotate(own, finals)),
    ...shown.map((index) =>
      row(`${String(index).padStart(3)} ${kindOf(index)}`, lineOf(own, happenings, scenario.faults, index)),
    ),
    ...(indices.length > rowsMax ? [row('', `… and ${indices.length - rowsMax} more`)] : []),
    ...cutLines(own, scenario.faults),
  ];
}

/** The legend of the signs that were drawn. */
function legendLines(outcome: Outcome, width: number): string[] {
  const used = new Set(outcome.happenings.map(({ mark }) => mark));
  const words = [
    ...signs.filter(([mark]) => used.has(mark)).map(([, sign, meaning]) => `${sign} ${meaning}`),
    '· runs',
    ...(used.has('pause') ? ['~ stands still'] : []),
  ];
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length + 3 <= width)
      lines[lines.length - 1] = `${last}   ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Draws a traced outcome. */
export function draw(outcome: Outcome, { width = widthDefault }: DrawOptions = {}): string {
  const columns = Math.max(tickEvery, width - labelWidth);
  const panels = panelsOf(outcome.elapsedMs, columns);
  const [first] = panels as [Panel];
  return [
    ...panels.flatMap((panel) => [...panelLines(panel, outcome), '']),
    ...legendLines(outcome, width),
    `one character is ${first.bucketMs} ms; what is listed first hides the rest`,
  ].join('\n');
}
