/**
 * Puts single operators in the place of the expressions that exporters write for them: they have faster kernels, and
 * gradients that hold fewer values. One entry per expression; what it matches and what takes its place compute the
 * same up to rounding.
 */
import {
  type Attributes,
  type Dimension,
  float,
  inferShapes,
  int,
  intOf,
  type Model,
  type Node,
  pruneModel,
  text,
} from '@murmuration/onnx';
import { type Expressions, expressionsOf, type Match, matchPattern, type Pattern } from './pattern.ts';

/** An operator with its inputs and attributes. */
interface Replacement {
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly attributes: Attributes;
}

interface Facts {
  readonly expressions: Expressions;
  shapeOf(value: string): readonly Dimension[] | undefined;
}

interface Recognition {
  readonly pattern: Pattern;
  /** What takes the expression's place; undefined when the match is none after all. */
  replace(match: Match, facts: Facts): Replacement | undefined;
}

const add = (...inputs: readonly Pattern[]): Pattern => ({ operator: 'Add', inputs });
const multiply = (...inputs: readonly Pattern[]): Pattern => ({ operator: 'Mul', inputs });
const divide = (...inputs: readonly Pattern[]): Pattern => ({ operator: 'Div', inputs });
const either = (...patterns: readonly Pattern[]): Pattern => ({ either: patterns });
const power = (base: Pattern, exponent: number): Pattern => ({ operator: 'Pow', inputs: [base, exponent] });
const unary = (operator: string, x: Pattern): Pattern => ({ operator, inputs: [x] });

/** ½·x·(1 + f) in the ways in which it is written. */
const halfGate = (f: Pattern): Pattern => {
  const gate = add(f, 1);
  return either(
    multiply('x', multiply(gate, 0.5)),
    multiply(multiply('x', gate), 0.5),
    multiply(multiply('x', 0.5), gate),
  );
};

const cube = either(power('x', 3), multiply('x', multiply('x', 'x')), multiply('x', power('x', 2)));
const tanhOfCubic = unary('Tanh', multiply(add('x', multiply(cube, 0.044715)), Math.sqrt(2 / Math.PI)));
const erfOfScaled = unary('Erf', either(multiply('x', Math.SQRT1_2), divide('x', Math.SQRT2)));

const gelu =
  (approximate: 'tanh' | 'none') =>
  ({ values }: Match): Replacement => ({
    operator: 'Gelu',
    inputs: [values.get('x') ?? ''],
    attributes: { approximate: text(approximate) },
  });

const meanOf = (x: Pattern, as: string): Pattern => ({
  operator: 'ReduceMean',
  inputs: [x, `${as}.axes`],
  as,
});
const centred: Pattern = { operator: 'Sub', inputs: ['x', meanOf('x', 'mean')] };
const squared = either(multiply(centred, centred), power(centred, 2));
const deviation = unary('Sqrt', add(meanOf(squared, 'variance'), { constant: 'epsilon' }));
const normal = either(divide(centred, deviation), multiply(centred, unary('Reciprocal', deviation)));

/** Whether a reduction is over the last axis of x, which stays as a dimension of 1. */
function isOverLast({ nodes, values }: Match, name: string, rank: number, facts: Facts): boolean {
  const node = nodes.get(name);
  const axes = facts.expressions.tensorOf(values.get(`${name}.axes`) ?? '')?.data;
  const axis = axes?.length === 1 ? Number(axes[0]) : undefined;
  return node !== undefined && intOf(node, 'keepdims', 1) === 1 && (axis === -1 || axis === rank - 1);
}

function layerNormalization(match: Match, facts: Facts): Replacement | undefined {
  const { values, constants } = match;
  const [x = '', gain = '', bias = ''] = ['x', 'gain', 'bias'].map((name) => values.get(name));
  const shape = facts.shapeOf(x);
  if (!shape) return undefined;
  const width = shape.at(-1);
  const isVector = (value: string): boolean => {
    const own = facts.shapeOf(value);
    return own?.length === 1 && own[0] === width && typeof width === 'number';
  };
  const over = ['mean', 'variance'].every((name) => isOverLast(match, name, shape.length, facts));
  if (!over || !isVector(gain) || !isVector(bias)) return undefined;
  return {
    operator: 'LayerNormalization',
    inputs: [x, gain, bias],
    attributes: { axis: int(-1), epsilon: float(constants.get('epsilon') ?? 0) },
  };
}

const recognitions: readonly Recognition[] = [
  { pattern: halfGate(tanhOfCubic), replace: gelu('tanh') },
  { pattern: halfGate(erfOfScaled), replace: gelu('none') },
  { pattern: add(multiply(normal, 'gain'), 'bias'), replace: layerNormalization },
];

/** Puts operators in the place of expressions, the largest first. float32 only: the operators have no other kernels. */
export function recognizeOperators(model: Model): Model {
  const known = inferShapes(model);
  const facts: Facts = { expressions: expressionsOf(model), shapeOf: (value) => known.get(value)?.shape };
  /** A constant with more dimensions than the input gives the expression's value these, but not the operator's. */
  const hasRank = (x: string, output: string): boolean => {
    const rank = facts.shapeOf(output)?.length;
    return rank !== undefined && facts.shapeOf(x)?.length === rank;
  };
  let found = false;
  const replaced = (node: Node): Node => {
    const output = node.outputs[0] ?? '';
    if (known.get(output)?.type !== 'float32') return node;
    for (const { pattern, replace } of recognitions) {
      const match = matchPattern(pattern, output, facts.expressions);
      const replacement = match && replace(match, facts);
      if (!replacement || !hasRank(replacement.inputs[0] ?? '', output)) continue;
      found = true;
      return { ...node, ...replacement, domain: '' };
    }
    return node;
  };
  const nodes = model.graph.nodes.map(replaced);
  if (!found) return model;
  const whole = { ...model, graph: { ...model.graph, nodes } };
  return pruneModel(
    whole,
    model.graph.outputs.map(({ name }) => name),
  );
}
