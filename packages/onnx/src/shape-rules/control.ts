/**
 * Branches and loops. A branch is inferred once. A loop's body is inferred with what is known of the carried values
 * before the first turn; if they come out otherwise, again with what both have in common, and if that does not hold
 * either, with nothing known. Deep inside other bodies the first attempts are left out, so that nesting costs no
 * more than a constant factor.
 */
import { unknown } from '../dimension.ts';
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

const branch: ShapeRule = (context) => {
  const yes = context.inferBody(bodyOf(context, 'then_branch'), []);
  const no = context.inferBody(bodyOf(context, 'else_branch'), []);
  const condition = context.inputs[0]?.elements?.[0];
  return context.node.outputs.map((_, index) => {
    const a: KnownValue = yes[index] ?? { type: 'float32' };
    const b: KnownValue = no[index] ?? { type: 'float32' };
    return condition === 1 ? a : condition === 0 ? b : common(a, b);
  });
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
