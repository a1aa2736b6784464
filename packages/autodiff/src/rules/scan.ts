/**
 * The gradient of Scan is a Scan that runs the other way. Its states are the gradients of the forward states, and the
 * running sums of the gradients of what the body takes from outside. Its body holds the backward graph of the forward
 * body, and whatever of the forward body that needs: states before each step and products come in as the forward Scan
 * stacked them (src/passes/expose-steps.ts), the rest is computed again.
 *
 * A weight that meets the rows of each step in a product gets its gradient not by summing a product per step, but as
 * ONE product over the rows of all steps, outside: the factors leave the Scan stacked. So do rows that steps pick from
 * a value outside. The way back of a Loop is a Scan too, over as many steps as the Loop came to take.
 */
import {
  type Attributes,
  type Dimension,
  float,
  type Graph,
  givenNames,
  graphAttribute,
  int,
  ints,
  type Node,
  renameGraph,
  text,
  usedValues,
} from '@murmuration/onnx';
import type { Backward } from '../backward.ts';
import { declared, scanParts, stackedValues, type Track } from '../scan-node.ts';
import { type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.ts';
import {
  type BodyGradients,
  differentiateBody,
  outputGradient,
  runningSum,
  type StackedTerm,
  stateGradient,
} from './scan-body.ts';

/** What the reverse body needs of the given values, found from what it gives. */
interface Needed {
  readonly nodes: readonly Node[];
  readonly values: ReadonlySet<string>;
}

/** The nodes behind the wanted values; nothing behind a given value is needed. */
function neededFor(nodes: readonly Node[], wanted: readonly string[], given: ReadonlySet<string>): Needed {
  const values = new Set(wanted);
  const kept: Node[] = [];
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((output) => values.has(output) && !given.has(output))) continue;
    kept.push(node);
    for (const value of usedValues(node)) values.add(value);
  }
  return { nodes: kept.reverse(), values };
}

/** As much of a value's shape as is numbers; onnxruntime wants the rank. */
const ranked = (inner: Backward, value: string): readonly Dimension[] | undefined =>
  inner.knownShape(value)?.map((size) => (typeof size === 'number' ? size : '?'));

/** Collects what goes in and out of the reverse Scan. */
class ReverseScan {
  readonly #context: RuleContext;
  readonly #gradients: BodyGradients;
  readonly #stacked: ReadonlyMap<string, string>;
  /** Scan outputs: values of the reverse body with axis and direction. */
  readonly #outputs: { value: string; axis: number; direction: number }[] = [];

  constructor(context: RuleContext, gradients: BodyGradients) {
    this.#context = context;
    this.#gradients = gradients;
    this.#stacked = stackedValues(gradients.parts);
  }

  /** Asks for a value of each step, stacked; gives its position among the scan outputs. */
  #emit(value: string, axis: number, direction: number): number {
    const known = this.#outputs.findIndex(
      (output) => output.value === value && output.axis === axis && output.direction === direction,
    );
    return known >= 0 ? known : this.#outputs.push({ value, axis, direction }) - 1;
  }

  /** Where a factor's steps are stacked already, if they are. */
  #outerOf(value: string): string | undefined {
    const { parts } = this.#gradients;
    const input = parts.inputs.find(
      ({ inner, axis, direction }) => inner === value && axis === 0 && direction === parts.direction,
    );
    return input?.outer ?? this.#stacked.get(value);
  }

  /** A stacked factor of a product: a value outside, or a position among the scan outputs. */
  factor(value: string): string | number {
    return this.#outerOf(value) ?? this.#emit(value, 0, 1 - this.#gradients.parts.direction);
  }

  input(gradient: string, { axis, direction }: Track): number {
    return this.#emit(gradient, axis, 1 - direction);
  }

  /** Appends the Scan; gives the gradients of states, sums and stacked values, in this order. */
  append(): {
    states: readonly string[];
    sums: readonly string[];
    stacked: readonly string[];
  } {
    const { backward, ops, gradients: byOutput } = this.#context;
    const { parts, inner, states, sums } = this.#gradients;
    const carried = [...states.map(([, value]) => value), ...sums.map(([, value]) => value)];
    const outputs = [...carried, ...this.#outputs.map(({ value }) => value)];
    const copies = outputs.map((value) => inner.op('Identity', [value]));
    const graph = inner.graph.graph();
    const tracked = new Set(parts.inputs.map(({ inner: name }) => name));
    const needed = neededFor(graph.nodes, copies, new Set([...this.#stacked.keys(), ...tracked]));
    const made = new Set(needed.nodes.flatMap((each) => each.outputs));
    const tracks: Track[] = [
      ...[...this.#stacked]
        .filter(([name]) => needed.values.has(name) && !made.has(name) && !tracked.has(name))
        .map(([name, outer]) => ({ outer, inner: name, axis: 0, direction: parts.direction })),
      ...parts.inputs.filter(({ inner: name }) => needed.values.has(name)),
      ...parts.outputs.flatMap((track, index) => {
        const outer = byOutput[parts.states.length + index];
        const name = outputGradient(index);
        return outer !== undefined && needed.values.has(name) ? [{ ...track, outer, inner: name }] : [];
      }),
    ];
    if (tracks.length === 0) tracks.push(this.#anyTrack());
    this.#requireStates(needed, made, tracks);
    const carriedInputs = [
      ...states.map(([index]) => stateGradient(index)),
      ...sums.map(([name]) => runningSum(name)),
    ];
    const body = this.#body(graph, needed, [...carriedInputs, ...tracks.map((track) => track.inner)], copies);
    const initial = [
      ...states.map(
        ([index]) => byOutput[index] ?? backward.zerosLike(parts.states[index]?.initial as string),
      ),
      ...sums.map(([name]) => backward.zerosLike(name)),
    ];
    const attributes: Attributes = {
      body: graphAttribute(body),
      num_scan_inputs: int(tracks.length),
      scan_input_axes: ints(tracks.map(({ axis }) => axis)),
      scan_input_directions: ints(tracks.map(({ direction }) => 1 - direction)),
      scan_output_axes: ints(this.#outputs.map(({ axis }) => axis)),
      scan_output_directions: ints(this.#outputs.map(({ direction }) => direction)),
    };
    const results = ops(
      'Scan',
      [...initial, ...tracks.map(({ outer }) => outer)],
      outputs.length,
      attributes,
    );
    return {
      states: results.slice(0, states.length),
      sums: results.slice(states.length, carried.length),
      stacked: results.slice(carried.length),
    };
  }

  /** A Scan has one input at least, which says how many steps there are. */
  #anyTrack(): Track {
    const { parts } = this.#gradients;
    const [inner = ''] = parts.counters;
    const outer = this.#stacked.get(inner) ?? '';
    return parts.inputs[0] ?? { outer, inner, axis: 0, direction: 0 };
  }

  /** A state that the way back needs must have been stacked on the way there. */
  #requireStates(needed: Needed, made: ReadonlySet<string>, tracks: readonly Track[]): void {
    const given = new Set(tracks.map(({ inner }) => inner));
    const { states, counters } = this.#gradients.parts;
    const missing = [...counters, ...states.map(({ before }) => before)].find(
      (value) => needed.values.has(value) && !made.has(value) && !given.has(value),
    );
    if (missing !== undefined)
      throw unsupported(this.#context.node, `expected ${missing} to be stacked at each step`);
  }

  /** The reverse body, all its names its own. */
  #body(graph: Graph, needed: Needed, inputs: readonly string[], outputs: readonly string[]): Graph {
    const { inner, captured, parts } = this.#gradients;
    const outside = new Set(captured);
    const used = new Set(needed.values);
    const body: Graph = {
      name: `${parts.body.name}.backward`,
      nodes: needed.nodes,
      inputs: inputs.map((name) => ({ name, type: inner.typeOf(name) })),
      outputs: outputs.map((name) => declared(name, inner.typeOf(name), ranked(inner, name))),
      initializers: graph.initializers.filter(({ name }) => used.has(name) && !outside.has(name)),
    };
    const own = new Set(givenNames(body));
    const prefix = this.#context.node.outputs.find((output) => output !== '') ?? 'scan';
    return renameGraph(body, (name) => (own.has(name) ? `${prefix}/${name}` : name));
  }
}

/** Rows of all steps as one matrix. */
function rowsOf({ op, backward }: RuleContext, inner: Backward, stacked: string, value: string): string {
  const width = inner.knownShape(value)?.at(-1);
  const { graph } = backward;
  const shape =
    typeof width === 'number'
      ? graph.int64s([-1, width])
      : op('Concat', [graph.int64s([-1]), op('Shape', [stacked], { start: int(-1) })], { axis: int(0) });
  return op('Reshape', [stacked, shape]);
}

/** One term of a captured value's gradient, summed over all steps. */
function ofAllSteps(
  context: RuleContext,
  inner: Backward,
  name: string,
  term: StackedTerm,
  stacked: readonly string[],
): string {
  const { op, backward } = context;
  if (term.kind === 'rows')
    return op('ScatterND', [backward.zerosLike(name), ...stacked], { reduction: text('add') });
  const rows = stacked.map((value, index) => rowsOf(context, inner, value, term.parts[index] as string));
  return op('Gemm', rows, { transA: int(1), ...(term.alpha === 1 ? {} : { alpha: float(term.alpha) }) });
}

const scan: GradientRule = (context) => {
  const parts = scanParts(context.node);
  const gradients = differentiateBody(context, parts);
  const { inner, states, inputs, sums, terms } = gradients;
  const reverse = new ReverseScan(context, gradients);
  const inputPositions = inputs.map(([index, gradient]) =>
    reverse.input(gradient, parts.inputs[index] as Track),
  );
  const placed = terms.flatMap(([name, list]) =>
    list.map((term) => ({ name, term, places: term.parts.map((part) => reverse.factor(part)) })),
  );
  const results = reverse.append();
  sums.forEach(([name], index) => {
    context.contribute(name, results.sums[index] as string);
  });
  for (const { name, term, places } of placed) {
    const stacked = places.map((place) =>
      typeof place === 'string' ? place : (results.stacked[place] as string),
    );
    context.contribute(name, ofAllSteps(context, inner, name, term, stacked));
  }
  const byInput: (string | undefined)[] = context.node.inputs.map(() => undefined);
  states.forEach(([index], position) => {
    byInput[parts.first + index] = results.states[position];
  });
  inputs.forEach(([index], position) => {
    byInput[parts.first + parts.states.length + index] = results.stacked[inputPositions[position] as number];
  });
  return byInput;
};

/** Recurrence: the operators that repeat a graph. */
export const scanRules: GradientRules = { Scan: scan, Loop: scan };
