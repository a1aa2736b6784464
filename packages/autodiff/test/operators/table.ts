/** The README's table of operators, made from the tables of rules, ONNX's own list, and the conformance models. */
import { casesByOperator } from '../conformance/cases.ts';
import { isDifferentiable } from '../conformance/check-case.ts';
import { caseKey, listed, notChecked, notEqual } from '../conformance/exceptions.ts';
import { remarks, runtimeRemarks } from './remarks.ts';
import {
  history,
  type OperatorStatus,
  replacements,
  runtimeOperators,
  runtimeStatusOf,
  statusOf,
} from './status.ts';

/** The oldest operator set that is read. */
const oldest = 7;

const words: Readonly<Record<OperatorStatus, string>> = {
  rule: 'rule',
  lowered: 'rule, in parts',
  replaced: 'replaced',
  none: 'none by nature',
  unsupported: 'not supported',
};

/** The operator sets of the read range from which on an operator has each of its forms. */
function formsOf(operator: string): string {
  const { opsets = [], deprecated } = history[operator] ?? {};
  const first = opsets.findLastIndex((opset) => opset <= oldest);
  const isGone = deprecated !== undefined && opsets.at(-1) === deprecated;
  const forms = opsets.slice(Math.max(0, first)).filter((opset) => !isGone || opset !== deprecated);
  const last = isGone ? ` (to ${deprecated - 1})` : '';
  return `${forms.join(', ')}${last}`;
}

interface Row {
  readonly operator: string;
  readonly forms: string;
  readonly status: OperatorStatus;
  readonly remark: string;
  /** Official models, those that run and give the stored outputs, those whose gradients were checked. */
  readonly models: number;
  readonly equal: number;
  readonly checked: number;
}

function rowsOfStandard(): readonly Row[] {
  const cases = casesByOperator();
  const [different, unchecked] = [listed(notEqual), listed(notChecked)];
  return Object.keys(history).map((operator): Row => {
    const all = cases.get(operator) ?? [];
    const equal = all.filter((stored) => !different.has(caseKey(stored)));
    const status = statusOf(operator);
    const hasRule = status !== 'none' && status !== 'unsupported';
    const checked = equal.filter(
      (stored) => hasRule && isDifferentiable(stored) && !unchecked.has(caseKey(stored)),
    );
    return {
      operator,
      forms: formsOf(operator),
      status,
      remark: (status === 'replaced' ? replacements[operator] : remarks[operator]) ?? '',
      models: all.length,
      equal: equal.length,
      checked: checked.length,
    };
  });
}

const rowsOfRuntime = (): readonly Row[] =>
  runtimeOperators.map((operator) => ({
    operator,
    forms: '',
    status: runtimeStatusOf(operator),
    remark: runtimeRemarks[operator] ?? '',
    models: 0,
    equal: 0,
    checked: 0,
  }));

/** Operators with a rule, without a gradient by nature, and the names of those of ONNX's own that are not supported. */
export interface OperatorCounts {
  readonly rules: number;
  readonly noGradient: number;
  readonly unsupported: readonly string[];
}

/** Counts the table. What upgrading or simplifying replaces is in none of the three. */
export function countOperators(): OperatorCounts {
  const rows = [...rowsOfStandard(), ...rowsOfRuntime()];
  return {
    rules: rows.filter(({ status }) => status === 'rule' || status === 'lowered').length,
    noGradient: rows.filter(({ status }) => status === 'none').length,
    unsupported: rows.filter(({ status }) => status === 'unsupported').map(({ operator }) => operator),
  };
}

/** A Markdown table with its columns padded, as the formatter has it. */
function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

const some = (count: number): string => (count === 0 ? '' : String(count));

function standardTable(rows: readonly Row[]): string {
  return markdown(
    ['operator', 'forms since opset', 'gradient', 'models', 'checked', 'remarks'],
    rows.map(({ operator, forms, status, models, equal, checked, remark }) => [
      operator,
      forms,
      words[status],
      models === equal ? some(models) : `${equal} of ${models}`,
      some(checked),
      remark,
    ]),
  );
}

const lineLength = 120;

/** A paragraph in lines of at most 120 characters. */
function wrapped(paragraph: string): string {
  const lines = [''];
  for (const word of paragraph.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && line.length + 1 + word.length > lineLength) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join('\n');
}

/** The generated part of the README. */
export function operatorTable(): string {
  const standard = rowsOfStandard();
  const runtime = rowsOfRuntime();
  const { rules, noGradient, unsupported } = countOperators();
  const sum = (count: (row: Row) => number): number => standard.reduce((total, row) => total + count(row), 0);
  const introduction = [
    `${rules} operators have a gradient rule, ${noGradient} have no gradient by nature, ${unsupported.length} are not`,
    'supported. A model of any operator set from 7 to 23 is first brought to 23, so that one rule serves all forms of an',
    'operator; the second column says since which operator set each form is in use. "Rule, in parts": the operator is',
    "taken apart into others that have rules. Of ONNX's",
    `${sum(({ models }) => models)} official single-operator models with float inputs,`,
    `${sum(({ equal }) => equal)} give their stored outputs in onnxruntime ("models"); in`,
    `${sum(({ checked }) => checked)} central differences confirm the gradient by every float input ("checked").`,
  ];
  const own = runtime.map(({ operator, remark }) => `\`${operator}\`${remark ? ` (${remark})` : ''}`);
  return [
    wrapped(introduction.join(' ')),
    '',
    wrapped(`onnxruntime's own operators that have a rule: ${own.join(', ')}.`),
    '',
    '<details>',
    `<summary>The ${standard.length} operators of ONNX</summary>`,
    '',
    standardTable(standard),
    '',
    '</details>',
  ].join('\n');
}

const [begin, end] = ['<!-- operators: begin -->', '<!-- operators: end -->'];

/** A README with the part between the two markers replaced by the generated one. */
export function withOperatorTable(readme: string): string {
  const [from, to] = [readme.indexOf(begin), readme.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`README: expected the markers ${begin} and ${end}`);
  return `${readme.slice(0, from)}${begin}\n\n${operatorTable()}\n\n${readme.slice(to)}`;
}
