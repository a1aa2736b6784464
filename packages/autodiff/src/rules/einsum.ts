/**
 * The gradient of an Einsum by one factor is the Einsum of the output's gradient with the other factors. Ellipses are
 * spelled out as letters first, by the factors' ranks. A letter that only this factor has was summed away: its gradient
 * is repeated. A letter that occurs twice in this factor chose a diagonal: a unit matrix puts it back.
 */
import { type Dimension, text, textOf } from '@murmuration/onnx';
import { undoBroadcast } from '../broadcast.ts';
import { type GradientRule, type RuleContext, unsupported } from './rule.ts';
import { unitMatrix } from './unit-matrix.ts';

/** One label per axis. */
type Labels = readonly string[];

const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** Letters that stand for the axes under an ellipsis, the last axis first, and letters for what rules need beyond. */
function freshLetters({ node }: RuleContext, equation: string): readonly string[] {
  const fresh = [...letters].filter((letter) => !equation.includes(letter));
  if (fresh.length < 8) throw unsupported(node, `expected an equation with fewer letters, got ${equation}`);
  return fresh;
}

interface Equation {
  readonly factors: readonly Labels[];
  readonly output: Labels;
  /** Letters that the equation does not use. */
  readonly unused: readonly string[];
}

function parse(context: RuleContext): Equation {
  const equation = textOf(context.node, 'equation', '').replaceAll(' ', '');
  const fresh = freshLetters(context, equation);
  const [left = '', right] = equation.split('->');
  const terms = left.split(',');
  const hidden = terms.map((term, index) =>
    term.includes('...') ? context.shape(index).length - (term.length - 3) : 0,
  );
  const spell = (term: string, count: number): Labels => [
    ...term.replace('...', fresh.slice(0, count).reverse().join('')),
  ];
  const factors = terms.map((term, index) => spell(term, hidden[index] ?? 0));
  const widest = Math.max(...hidden);
  const unused = fresh.slice(widest);
  if (right !== undefined) return { factors, output: spell(right, widest), unused };
  const all = terms.join('').replaceAll('.', '');
  const once = [...new Set(all)].filter((letter) => all.split(letter).length === 2).sort();
  return { factors, output: [...fresh.slice(0, widest).reverse(), ...once], unused };
}

/** What is known of each letter's size; a factor may have 1 where another repeats. */
function sizesOf(context: RuleContext, { factors }: Equation): ReadonlyMap<string, Dimension> {
  const sizes = new Map<string, Dimension>();
  factors.forEach((labels, index) => {
    labels.forEach((label, axis) => {
      const size = context.shape(index)[axis] ?? '?';
      const before = sizes.get(label);
      if (before === undefined || before === 1 || (typeof size === 'number' && size !== 1))
        sizes.set(label, size);
    });
  });
  return sizes;
}

function byFactor(context: RuleContext, equation: Equation, index: number): string {
  const { op, backward, gradient, node } = context;
  const factor = context.input(index);
  const labels = equation.factors[index] ?? [];
  const others = equation.factors.flatMap((_, other) => (other === index ? [] : [other]));
  const operands = [gradient, ...others.map((other) => context.input(other))];
  const terms: Labels[] = [equation.output, ...others.map((other) => equation.factors[other] ?? [])];
  const unused = [...equation.unused];
  const distinct = labels.map((label, axis) => {
    if (labels.indexOf(label) === axis) return label;
    const twin = unused.shift();
    if (twin === undefined) throw unsupported(node, 'expected fewer repeated letters');
    operands.push(unitMatrix(context, factor, axis));
    terms.push([label, twin]);
    return twin;
  });
  const given = new Set(terms.flat());
  const kept = distinct.filter((label) => given.has(label));
  const written = `${terms.map((term) => term.join('')).join(',')}->${kept.join('')}`;
  const product = op('Einsum', operands, { equation: text(written) });
  const sizes = sizesOf(context, equation);
  const keptShape = distinct.map((label, axis) =>
    !given.has(label) ? 1 : (sizes.get(labels[axis] ?? label) ?? '?'),
  );
  if (kept.length === distinct.length) return undoBroadcast(backward, product, keptShape, factor);
  const summed = distinct.flatMap((label, axis) => (given.has(label) ? [] : [axis]));
  return backward.expandLike(op('Unsqueeze', [product, backward.graph.int64s(summed)]), factor);
}

/** Einsum with any number of factors, ellipses and repeated letters. */
export const einsum: GradientRule = (context) => {
  const equation = parse(context);
  return context.node.inputs.map((_, index) =>
    context.needs(index) ? byFactor(context, equation, index) : undefined,
  );
};
