/**
 * Branches and loops. A branch is inferred once, and not at all when its condition is known to choose the other one.
 * Where it is not, a branch whose shapes contradict each other is one that cannot run: sizes are often what the
 * condition is about. What is known is then what is known of the other branch. A loop's body is inferred with what is
 * known of the carried values before the first turn; if they come out otherwise, again with what both have in common,
 * and if that does not hold either, with nothing known. Deep inside other bodies the first attempts are left out, so
 * that nesting costs no more than a constant factor.
 */
import { unknown } from '../dimension.ts';
import { OnnxError } from '../errors.ts';
import { type Dimension, type Graph, graphOf, intOf, intsOf } from '../model.ts';
import {
  axisOf,
  type KnownValue,
  refuse,
  type ShapeContext,
  type ShapeRule,
  type ShapeRules,
} from './rule.ts';

/** Bodies this deep are inferred with nothing known of carried values. */
const attemptsDepthMax = 2;

const typeOnly = ({ type }: KnownValue): KnownValue => ({ type });

/** What holds for both values. */
function common(a: KnownValue, b: KnownValue): KnownValue {
  if (!a.shape || !b.shape || a.shape.length !== b.shape.length) return { type: a.type };
  const other = b.shape;
  return { type: a.type, shape: a.shape.map((size, axis) => (size === other[axis] ? size : unknown)) };
}

const sameShape = (a: KnownValue, b: KnownValue): boolean => {
  const other = b.shape;
  if (!a.shape || !other) return a.shape === other || a.shape === undefined;
  return (
    a.shape.length === other.length && a.shape.every((size, axis) => size === unknown || size === other[axis])
  );
};

function bodyOf(context: ShapeContext, name: string): Graph {
  return graphOf(context.node, name) ?? refuse(context, `expected a graph as attribute ${name}`);
}

/** Infers a body until what is known of its carried values holds before and after a turn. */
function settle(
  context: ShapeContext,
  carried: readonly KnownValue[],
  turn: (carried: readonly KnownValue[]) => readonly KnownValue[],
): readonly KnownValue[] {
  let before: readonly KnownValue[] = carried.map(({ type, shape }) => ({ type, shape }));
  if (context.depth < attemptsDepthMax) {
    for (let attempt = 0; attempt < 2; attempt++) {
      const after = turn(before);
      if (before.every((value, index) => sameShape(value, after[index] ?? value))) {
        return [...before, ...after.slice(before.length)];
      }
      before = before.map((value, index) => common(value, after[index] ?? value));
    }
  }
  before = carried.map(typeOnly);
  return [...before, ...turn(before).slice(before.length)];
}

/** Whether an error says that shapes contradict each other, rather than that a value is missing. */
const isContradiction = (error: unknown): error is OnnxError =>
  error instanceof OnnxError && error.code === 'invalid-model' && error.facts.input === undefined;

/** What is known of a branch's outputs, or the contradiction because of which it cannot run. */
function inferBranch(context: ShapeContext, graph: Graph): readonly KnownValue[] | OnnxError {
  try {
    return context.inferBody(graph, []);
  } catch (error) {
    if (isContradiction(error)) return error;
    throw error;
  }
}

const branch: ShapeRule = (context) => {
  const [yes, no] = ['then_branch', 'else_branch'].map((name) => bodyOf(context, name)) as [Graph, Graph];
  const condition = context.inputs[0]?.elements?.[0];
  const possible = condition === 1 ? [yes] : condition === 0 ? [no] : [yes, no];
  const inferred = possible.map((graph) => inferBranch(context, graph));
  const consistent = inferred.filter(
    (values): values is readonly KnownValue[] => !(values instanceof OnnxError),
  );
  const [first, second = first] = consistent;
  if (!first || !second) throw inferred[0];
  return context.node.outputs.map((_, index) =>
    common(first[index] ?? { type: 'float32' }, second[index] ?? { type: 'float32' }),
  );
};

const loop: ShapeRule = (context) => {
  const body = bodyOf(context, 'body');
  const carried = context.inputs.slice(2).map((input): KnownValue => input ?? { type: 'float32' });
  const iteration: KnownValue = { type: 'int64', shape: [] };
  const condition: KnownValue = { type: 'bool', shape: [] };
  const values = settle(context, carried, (known) =>
    context.inferBody(body, [iteration, condition, ...known]).slice(1),
  );
  return values.map((value, index) =>
    index < carried.length ? value : { type: value.type, shape: value.shape && [unknown, ...value.shape] },
  );
};

const scan: ShapeRule = (context) => {
  const { node, inputs } = context;
  const body = bodyOf(context, 'body');
  const count = intOf(node, 'num_scan_inputs', 0);
  const split = inputs.length - count;
  if (count < 1 || split < 0)
    refuse(context, `expected between 1 and ${inputs.length} scanned inputs, got ${count}`);
  const carried = inputs.slice(0, split).map((input): KnownValue => input ?? { type: 'float32' });
  const axes = intsOf(node, 'scan_input_axes') ?? [];
  let length: Dimension = unknown;
  const slices = inputs.slice(split).map((input, index): KnownValue => {
    const type = input?.type ?? 'float32';
    if (!input?.shape) return { type };
    const axis = axisOf(context, axes[index] ?? 0, input.shape.length);
    if (length === unknown) length = input.shape[axis] ?? unknown;
    return { type, shape: input.shape.toSpliced(axis, 1) };
  });
  const values = settle(context, carried, (known) => context.inferBody(body, [...known, ...slices]));
  const outputAxes = intsOf(node, 'scan_output_axes') ?? [];
  return values.map((value, index) => {
    if (index < carried.length || !value.shape) return value;
    const axis = axisOf(context, outputAxes[index - split] ?? 0, value.shape.length + 1);
    return { type: value.type, shape: value.shape.toSpliced(axis, 0, length) };
  });
};

/** Operators that contain graphs. */
export const controlRules: ShapeRules = { If: branch, Loop: loop, Scan: scan };
