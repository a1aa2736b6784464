import { square, unary } from './activations.ts';
import { type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.ts';

/** y = f(a, b) with broadcasting; `partials` give each input's gradient before broadcasting is undone. */
const binary =
  (...partials: readonly ((context: RuleContext) => string)[]): GradientRule =>
  (context) =>
    partials.map((partial, index) =>
      context.needs(index) ? context.undo(partial(context), index) : undefined,
    );

const passOn = ({ gradient }: RuleContext): string => gradient;
const negated = ({ op, gradient }: RuleContext): string => op('Neg', [gradient]);

/** The only element of a constant number. */
function constantNumber({ backward }: RuleContext, value: string): number | undefined {
  const data = backward.constantOf(value)?.data;
  const float = data instanceof Float32Array || data instanceof Float64Array;
  const values = float ? data : backward.numbersOf(value);
  return values?.length === 1 ? values[0] : undefined;
}

/** x^(p − 1)·p for the powers that models are full of without `Pow`, which is slow; by `Pow` otherwise. */
function powerSlope(context: RuleContext, x: string, y: string, exponent: string): string {
  const { op } = context;
  const constant = constantNumber(context, context.input(1));
  if (constant === 1) return context.number(1);
  if (constant === 2) return op('Add', [x, x]);
  if (constant === 3) return op('Mul', [square(context, x), context.number(3)]);
  if (constant === 0.5) return op('Div', [context.number(0.5), y]);
  if (constant === -1) return op('Neg', [square(context, y)]);
  if (constant !== undefined && constant !== 0)
    return op('Mul', [op('Pow', [x, context.number(constant - 1)]), context.number(constant)]);
  const isZero = op('Equal', [exponent, context.number(0)]);
  const slope = op('Mul', [exponent, op('Pow', [x, op('Sub', [exponent, context.number(1)])])]);
  return op('Where', [isZero, context.number(0), slope]);
}

/** By the base: p·x^(p − 1), nothing for p = 0. By the exponent: y·ln x, nothing where x = 0 and p ≥ 0. */
const power: GradientRule = (context) => {
  const { op, gradient } = context;
  const [x, y] = [context.input(0), context.output(0)];
  const exponent = context.backward.castLike(context.input(1), x);
  const byExponent = (): string => {
    const flat = op('And', [
      op('Equal', [x, context.number(0)]),
      op('GreaterOrEqual', [exponent, context.number(0)]),
    ]);
    return op('Mul', [gradient, op('Where', [flat, context.number(0), op('Mul', [y, op('Log', [x])])])]);
  };
  return [
    context.needs(0)
      ? context.undo(op('Mul', [gradient, powerSlope(context, x, y, exponent)]), 0)
      : undefined,
    context.needs(1) ? context.undo(context.backward.castLike(byExponent(), context.input(1)), 1) : undefined,
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
  const { op, node, gradient } = context;
  if (node.inputs.length === 1) return [gradient];
  const wins = node.inputs.map((input) =>
    context.backward.castLike(op('Equal', [input, context.output(0)]), context.output(0)),
  );
  const winners = wins.reduce((sum, win) => op('Add', [sum, win]));
  const share = op('Div', [gradient, winners]);
  return wins.map((win, index) =>
    context.needs(index) ? context.undo(op('Mul', [share, win]), index) : undefined,
  );
};

const each: GradientRule = (context) =>
  context.node.inputs.map((_, index) =>
    context.needs(index) ? context.undo(context.gradient, index) : undefined,
  );

const mean: GradientRule = (context) => {
  const share = context.op('Div', [context.gradient, context.number(context.node.inputs.length)]);
  return context.node.inputs.map((_, index) =>
    context.needs(index) ? context.undo(share, index) : undefined,
  );
};

/** The gradient passes where the value lies inside the bounds or on them; outside it goes to the bound. */
const clip: GradientRule = (context) => {
  const { op, gradient } = context;
  const [x, low, high] = [context.input(0), context.input(1), context.input(2)];
  const all = (condition: string, bound: string): string => {
    const outside = op('Where', [condition, gradient, context.number(0)]);
    return op('Reshape', [op('ReduceSum', [outside]), context.backward.shapeValue(bound)]);
  };
  const kept = (): string => op('Where', [op('Equal', [x, context.output(0)]), gradient, context.number(0)]);
  const byLow = (): string => {
    const below = op('Less', [x, low]);
    return all(high === '' ? below : op('And', [below, op('LessOrEqual', [low, high])]), low);
  };
  const byHigh = (): string => {
    const above = op('Greater', [x, high]);
    return all(low === '' ? above : op('Or', [above, op('Greater', [low, high])]), high);
  };
  return [
    context.needs(0) ? kept() : undefined,
    context.needs(1) ? byLow() : undefined,
    context.needs(2) ? byHigh() : undefined,
  ];
};

const cast: GradientRule = ({ backward, gradient, input }) => [backward.castLike(gradient, input(0))];

/** The remainder a − b·q with a whole q: dy by a, −q·dy by b. */
const remainder = binary(passOn, (context) => {
  const { op } = context;
  const whole = op('Round', [
    op('Div', [op('Sub', [context.output(0), context.input(0)]), context.input(1)]),
  ]);
  return op('Mul', [context.gradient, whole]);
});

/**
 * Where something was dropped the gradient is zero, elsewhere it is scaled as the values were; at inference it passes.
 * The mask is the operator's own second output.
 */
const dropout: GradientRule = (context) => {
  const { op, backward, node, gradient } = context;
  const [ratio, training] = [context.input(1), context.input(2)];
  const constant = backward.constantOf(training);
  if (training === '' || (constant && constant.data[0] === 0)) return [gradient];
  const mask = context.output(1);
  if (mask === '') throw unsupported(node, 'expected its mask as second output');
  const rate = ratio === '' ? context.number(0.5) : backward.castLike(ratio, context.input(0));
  const scaled = op('Div', [context.number(1), op('Sub', [context.number(1), rate])]);
  const scale = op('Where', [training, scaled, context.number(1)]);
  return [op('Mul', [gradient, op('Mul', [backward.castLike(mask, context.input(0)), scale])])];
};

/** x² + offset, or offset − x² for a sign of −1. */
const quadratic = (context: RuleContext, x: string, sign: number, offset: number): string =>
  sign === 1
    ? context.op('Add', [square(context, x), context.number(offset)])
    : context.op('Sub', [context.number(offset), square(context, x)]);

/** dy / f(x). */
const divided =
  (divisor: (context: RuleContext, x: string) => string): GradientRule =>
  (context) => [context.op('Div', [context.gradient, divisor(context, context.input(0))])];

const inverseTrigonometric: GradientRules = {
  Acos: divided((context, x) => context.op('Neg', [context.op('Sqrt', [quadratic(context, x, -1, 1)])])),
  Acosh: divided((context, x) => context.op('Sqrt', [quadratic(context, x, 1, -1)])),
  Asin: divided((context, x) => context.op('Sqrt', [quadratic(context, x, -1, 1)])),
  Asinh: divided((context, x) => context.op('Sqrt', [quadratic(context, x, 1, 1)])),
  Atan: divided((context, x) => quadratic(context, x, 1, 1)),
  Atanh: divided((context, x) => quadratic(context, x, -1, 1)),
};

/** Operators that work on each element by itself. */
export const elementwiseRules: GradientRules = {
  ...inverseTrigonometric,
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
  Mod: remainder,
  Pow: power,
  Sum: each,
  Mean: mean,
  Max: extremum,
  Min: extremum,
  Where: selection,
  Clip: clip,
  Neg: (context) => [negated(context)],
  Identity: (context) => [passOn(context)],
  Dropout: dropout,
  Cast: cast,
  CastLike: cast,
  Abs: unary(({ op }, x) => op('Sign', [x])),
  Sqrt: (context) => [
    context.op('Div', [context.gradient, context.op('Add', [context.output(0), context.output(0)])]),
  ],
  Reciprocal: unary((context, _, y) => context.op('Neg', [square(context, y)])),
  Exp: unary((_, __, y) => y),
  Log: divided((_, x) => x),
  Sin: unary(({ op }, x) => op('Cos', [x])),
  Cos: unary(({ op }, x) => op('Neg', [op('Sin', [x])])),
  Tan: unary((context, _, y) => quadratic(context, y, 1, 1)),
  Sinh: unary(({ op }, x) => op('Cosh', [x])),
  Cosh: unary(({ op }, x) => op('Sinh', [x])),
  Erf: unary((context, x) => {
    const exponential = context.op('Exp', [context.op('Neg', [square(context, x)])]);
    return context.op('Mul', [exponential, context.number(2 / Math.sqrt(Math.PI))]);
  }),
};
