/**
 * A region of a few lines at the bottom of the terminal that is drawn anew in place, with event lines scrolling above
 * it. Where nothing can be drawn in place (a pipe, a log file, CI, NO_COLOR, TERM=dumb) events are plain lines, and the
 * region is printed now and then.
 */
import { fitWidth, printable } from './text-width.ts';

/** The part of a terminal or a pipe that the view needs. */
export interface LiveOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface LiveView {
  /** What the region shows from now on. */
  show(lines: readonly string[]): void;
  /** One event, above the region. */
  tell(line: string): void;
  /** Draws the region a last time, where it stays. Twice is once. */
  close(): void;
}

export interface LiveViewInit {
  readonly output?: LiveOutput;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Milliseconds, rising. */
  now?(): number;
}

/** Where the region cannot be redrawn: so often it is printed. */
const plainIntervalMs = 30_000;
/** Faster than anybody reads: a burst of status events costs no more than this. */
const redrawIntervalMs = 100;

const controlSequence = '\u001b[';

function canRedraw(output: LiveOutput, environment: Readonly<Record<string, string | undefined>>): boolean {
  const { NO_COLOR, CI, TERM } = environment;
  return output.isTTY === true && !NO_COLOR && !CI && TERM !== 'dumb';
}

export function createLiveView({
  output = process.stdout,
  environment = process.env,
  now = () => performance.now(),
}: LiveViewInit = {}): LiveView {
  return canRedraw(output, environment) ? redrawnView(output, now) : plainView(output, now);
}

function plainView(output: LiveOutput, now: () => number): LiveView {
  let lines: readonly string[] = [];
  let printedAt = now();
  let isOpen = true;
  const print = (): void => {
    printedAt = now();
    for (const line of lines) output.write(`${printable(line)}\n`);
  };
  return {
    show(next) {
      lines = next;
      if (isOpen && now() - printedAt >= plainIntervalMs) print();
    },
    tell(line) {
      output.write(`${printable(line)}\n`);
    },
    close() {
      if (isOpen) print();
      isOpen = false;
    },
  };
}

function redrawnView(output: LiveOutput, now: () => number): LiveView {
  let lines: readonly string[] = [];
  let drawnLines = 0;
  let drawnAt = Number.NEGATIVE_INFINITY;
  let redraw: NodeJS.Timeout | undefined;
  let isOpen = true;

  const draw = (above: string): void => {
    clearTimeout(redraw);
    redraw = undefined;
    const columns = (output.columns ?? 80) - 1;
    const visible = lines.slice(0, Math.max(1, (output.rows ?? 24) - 1));
    const back = drawnLines > 0 ? `${controlSequence}${drawnLines}A` : '';
    const region = visible.map((line) => `${fitWidth(printable(line), columns)}\n`).join('');
    output.write(`${back}\r${controlSequence}0J${above}${region}`);
    drawnLines = visible.length;
    drawnAt = now();
  };
  return {
    show(next) {
      lines = next;
      if (!isOpen || redraw) return;
      const waitMs = drawnAt + redrawIntervalMs - now();
      if (waitMs <= 0) draw('');
      else redraw = setTimeout(draw, waitMs, '').unref();
    },
    tell(line) {
      if (isOpen) draw(`${printable(line)}\n`);
      else output.write(`${printable(line)}\n`);
    },
    close() {
      if (isOpen) draw('');
      isOpen = false;
      drawnLines = 0;
    },
  };
}
