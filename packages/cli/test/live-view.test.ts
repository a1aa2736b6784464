import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLiveView, type LiveOutput } from '../src/live-view.ts';

/** A terminal that understands what the view sends: text, new line, return, cursor up, erase below. */
class Screen implements LiveOutput {
  readonly isTTY = true;
  readonly columns: number;
  readonly rows: number;
  readonly lines: string[] = [''];
  writes = 0;
  private row = 0;
  private column = 0;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): void {
    this.writes++;
    const [first, ...controlled] = text.split('\u001b[');
    this.type(first as string);
    for (const part of controlled) {
      const [control, count, letter] = /^(\d*)([AJ])/.exec(part) ?? assert.fail(`unknown control: ${part}`);
      if (letter === 'A') this.row -= Number(count);
      else this.lines.splice(this.row, Infinity, (this.lines[this.row] ?? '').slice(0, this.column));
      assert.ok(this.row >= 0, 'the cursor went above the first line');
      this.type(part.slice(control.length));
    }
  }

  private type(text: string): void {
    for (const character of text)
      if (character === '\n') this.newLine();
      else if (character === '\r') this.column = 0;
      else this.put(character);
  }

  private newLine(): void {
    this.row++;
    this.column = 0;
    this.lines[this.row] ??= '';
  }

  private put(character: string): void {
    if (this.column === this.columns) this.newLine();
    const line = (this.lines[this.row] ?? '').padEnd(this.column);
    this.lines[this.row] = line.slice(0, this.column) + character + line.slice(this.column + 1);
    this.column++;
  }
}

function viewOn(output: LiveOutput, environment: Record<string, string> = {}) {
  let time = 0;
  const view = createLiveView({ output, environment, now: () => time });
  return {
    view,
    pass(ms: number): void {
      time += ms;
    },
  };
}

test('LiveView draws its region anew in place, below the events', () => {
  const screen = new Screen(40, 10);
  const { view, pass } = viewOn(screen);
  view.show(['round 1', 'loss 5']);
  assert.deepEqual(screen.lines, ['round 1', 'loss 5', '']);
  view.tell('peer a joined');
  pass(200);
  view.show(['round 2']);
  view.tell('peer b joined');
  pass(200);
  view.show(['round 3', 'loss 4', 'done']);
  view.close();
  view.close();
  view.show(['never']);
  view.tell('after the end');
  assert.deepEqual(screen.lines, [
    'peer a joined',
    'peer b joined',
    'round 3',
    'loss 4',
    'done',
    'after the end',
    '',
  ]);
});

test('LiveView cuts lines to the terminal and leaves out what is below it', () => {
  const screen = new Screen(10, 4);
  const { view, pass } = viewOn(screen);
  for (let step = 0; step < 5; step++) {
    view.show(Array.from({ length: 9 }, (_, line) => `a long line ${line}`));
    pass(200);
  }
  assert.deepEqual(screen.lines, ['a long l…', 'a long l…', 'a long l…', '']);
  view.tell('an event that is longer than the terminal is wide');
  view.close();
  assert.equal(screen.lines.slice(0, 5).join(''), 'an event that is longer than the terminal is wide');
  assert.deepEqual(screen.lines.slice(5), ['a long l…', 'a long l…', 'a long l…', '']);
});

test('LiveView draws a burst at most every 100 ms, and its last state in the end', () => {
  const screen = new Screen(40, 10);
  const { view, pass } = viewOn(screen);
  for (let step = 0; step < 1_000; step++) {
    view.show([`step ${step}`]);
    pass(1);
  }
  assert.ok(screen.writes <= 11, `${screen.writes} writes`);
  view.show(['step 1000']);
  view.close();
  assert.deepEqual(screen.lines, ['step 1000', '']);
});

test('LiveView lets no text steer the terminal', () => {
  const screen = new Screen(60, 10);
  const { view } = viewOn(screen);
  view.tell('a run named \u001b[9A\r\n\u001b[0J');
  view.show(['b\u001b[5A']);
  view.close();
  assert.deepEqual(screen.lines, ['a run named  [9A   [0J', 'b [5A', '']);
});

class Pipe implements LiveOutput {
  readonly isTTY: boolean;
  text = '';

  constructor(isTTY = false) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }
}

test('LiveView writes plain lines where nothing can be redrawn', () => {
  const places: [Pipe, Record<string, string>][] = [
    [new Pipe(), {}],
    [new Pipe(true), { NO_COLOR: '1' }],
    [new Pipe(true), { CI: 'true' }],
    [new Pipe(true), { TERM: 'dumb' }],
  ];
  for (const [pipe, environment] of places) {
    const { view, pass } = viewOn(pipe, environment);
    view.show(['round 1']);
    view.tell('joined');
    pass(31_000);
    view.show(['round 2', 'loss 4']);
    view.show(['round 3', 'loss 3']);
    view.close();
    view.close();
    assert.equal(pipe.text, 'joined\nround 2\nloss 4\nround 3\nloss 3\n');
  }
});
