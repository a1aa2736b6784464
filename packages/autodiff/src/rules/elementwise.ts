import { float, textOf } from '@murmuration/onnx';
import type { GradientRule, GradientRules, RuleContext } from './rule.ts';

/** y = f(x): the gradient is dy · f′, and `slope` gives f′ from x and y. */
const unary =
  (slope: (context: RuleContext, x: string, y: string) => string): GradientRule =>
  (context) => [context.op('Mul', [context.gradient, slope(context, context.input(0), context.output(0))])];

/** y = f(a, b) with broadcasting; `partials` give each input's gradient before broadcasting is undone. */
const binary =
  (...partials: readonly ((context: RuleContext) => string)[]): GradientRule =>
  (context) =>
    partials.map((partial, index) =>
      context.needs(index) ? context.undo(partial(context), index) : undefined,
    );

const passOn = ({ gradient }: RuleContext): string => gradient;
const negated = ({ op, gradient }: RuleContext): string => op('Neg', [gradient]);

/** dy where the condition holds, else 0. */
const where = (context: RuleContext, condition: string): string =>
  context.op('Where', [condition, context.gradient, context.number(0)]);

const square = ({ op }: RuleContext, x: string): string => op('Mul', [x, x]);

/** a·x + b by one operator that clamps to [0, 1], where the result lies anyway. */
const affineInUnit = ({ op }: RuleContext, x: string, alpha: number, beta: number): string =>
  op('HardSigmoid', [x], { alpha: float(alpha), beta: float(beta) });

/** GELU′ = Φ(x) + x·φ(x); with u = x/√2: Φ = (1 + erf u)/2, x·φ = u·exp(−u² − ln √π). */
function geluSlope(context: RuleContext, x: string): string {
  const { op } = context;
  const u = op('Mul', [x, context.number(Math.SQRT1_2)]);
  const distribution = affineInUnit(context, op('Erf', [u]), 0.5, 0.5);
  const exponent = op('Sub', [context.number(-Math.log(Math.PI) / 2), square(context, u)]);
  return op('Add', [distribution, op('Mul', [u, op('Exp', [exponent])])]);
}

/** GELU by tanh: x·σ(v) with v = 2·√(2/π)·(x + 0.044715·x³); slope σ + x·σ·(1 − σ)·v′. */
function tanhGeluSlope(context: RuleContext, x: string): string {
  const { op } = context;
  const scale = 2 * Math.sqrt(2 / Math.PI);
  const squared = square(context, x);
  const cubic = op('Add', [op('Mul', [squared, context.number(0.044715 * scale)]), context.number(scale)]);
  const sigmoid = op('Sigmoid', [op('Mul', [x, cubic])]);
  const inner = op('Add', [
    op('Mul', [squared, context.number(3 * 0.044715 * scale)]),
    context.number(scale),
  ]);
  const bell = op('Mul', [sigmoid, op('Sub', [context.number(1), sigmoid])]);
  return op('Add', [sigmoid, op('Mul', [op('Mul', [x, inner]), bell])]);
}

const gelu: GradientRule = (context) => {
  const slope = textOf(context.node, 'approximate', 'none') === 'tanh' ? tanhGeluSlope : geluSlope;
  return [context.op('Mul', [context.gradient, slope(context, context.input(0))])];
};

const power: GradientRule = (context) => {
  const { op } = context;
  const [x, exponent, y] = [context.input(0), context.input(1), context.output(0)];
  const byBase = (): string => {
    const less = op('Sub', [exponent, context.number(1)]);
    return op('Mul', [context.gradient, op('Mul', [exponent, op('Pow', [x, less])])]);
  };
  const byExponent = (): string => {
    const positive = op('Greater', [x, context.number(0)]);
    const logarithm = op('Log', [op('Where', [positive, x, context.number(1)])]);
    return op('Mul', [context.gradient, op('Mul', [y, logarithm])]);
  };
  return [
    context.needs(0) ? context.undo(byBase(), 0) : undefined,
    context.needs(1) ? context.undo(byExponent(), 1) : undefined,
  ];
};

const selection: GradientRule = (context) => {
  const { op, gradient } = context;
  const condition = context.input(0);
  const zero = context.backward.number(0, context.input(1));
  return [
    undefined,
    context.needs(1) ? context.undo(op('Where', [condition, gradient, zero]), 1) : undefined,
    context.needs(2) ? context.undo(op('Where', [condition, zero, gradient]), 2) : undefined,
  ];
};

/** Max and Min of any number of inputs: equal winners share the gradient equally. */
const extremum: GradientRule = (context) => {
  const { op, node } = context;
  const wins = node.inputs.map((input) =>
    context.backward.castLike(op('Equal', [input, context.output(0)]), context.output(0)),
  );
  const winners = wins.reduce((sum, win) => op('Add', [sum, win]));
  const share = op('Div', [context.gradient, winners]);
  return wins.map((win, index) =>
    context.needs(index) ? context.undo(op('Mul', [share, win]), index) : undefined,
  );
};

const each: GradientRule = (context) =>
  context.node.inputs.map((_, index) =>
    context.needs(index) ? context.undo(context.gradient, index) : undefined,
  );

const clip: GradientRule = (context) => {
  const { op } = context;
  const [x, y] = [context.input(0), context.output(0)];
  return [where(context, op('Equal', [x, y]))];
};

const cast: GradientRule = ({ backward, gradient, input }) => [backward.castLike(gradient, input(0))];

/** Operators that work on each element by itself. */
export const elementwiseRules: GradientRules = {
  Add: binary(passOn, passOn),
  Sub: binary(passOn, negated),
  Mul: binary(
    (context) => context.op('Mul', [context.gradient, context.input(1)]),
    (context) => context.op('Mul', [context.gradient, context.input(0)]),
  ),
  Div: binary(
    (context) => context.op('Div', [context.gradient, context.input(1)]),
    (context) => {
      const quotient = context.op('Div', [context.output(0), context.input(1)]);
      return context.op('Neg', [context.op('Mul', [context.gradient, quotient])]);
    },
  ),
  Pow: power,
  Sum: each,
  Max: extremum,
  Min: extremum,
  Where: selection,
  Neg: (context) => [negated(context)],
  Identity: (context) => [passOn(context)],
  Cast: cast,
  Abs: unary(({ op }, x) => op('Sign', [x])),
  Sqrt: (context) => [
    context.op('Div', [context.gradient, context.op('Mul', [context.output(0), context.number(2)])]),
  ],
  Reciprocal: unary((context, _, y) => context.op('Neg', [square(context, y)])),
  Exp: unary((_, __, y) => y),
  Log: (context) => [context.op('Div', [context.gradient, context.input(0)])],
  Sin: unary(({ op }, x) => op('Cos', [x])),
  Cos: unary(({ op }, x) => op('Neg', [op('Sin', [x])])),
  Erf: unary((context, x) => {
    const exponential = context.op('Exp', [context.op('Neg', [square(context, x)])]);
    return context.op('Mul', [exponential, context.number(2 / Math.sqrt(Math.PI))]);
  }),
  Tanh: unary((context, _, y) => context.op('Sub', [context.number(1), square(context, y)])),
  Sigmoid: unary((context, _, y) => context.op('Mul', [y, context.op('Sub', [context.number(1), y])])),
  Softplus: unary(({ op }, x) => op('Sigmoid', [x])),
  Relu: (context) => [where(context, context.op('Greater', [context.input(0), context.number(0)]))],
  Clip: clip,
  Gelu: gelu,
};
