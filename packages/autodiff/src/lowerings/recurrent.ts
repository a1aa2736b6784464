/**
 * RNN, GRU and LSTM as one matrix product of the inputs of all steps, with the biases added, and a Scan over the steps
 * whose body holds what really is recurrent: the product of the last state with its weights, and the gates. Lengths of
 * sequence and batch stay symbolic. A reverse direction is a Scan that runs backwards. Sequences that are shorter than
 * the longest keep their state from their end on, and their outputs there are zero.
 */
import {
  type Attributes,
  type ElementType,
  type GraphBuilder,
  graphAttribute,
  int,
  intOf,
  ints,
  tensorAttribute,
  textOf,
} from '@murmuration/onnx';
import { typeCodes } from '../element-types.ts';
import type { Lowering, LoweringContext, Lowerings } from '../passes/lower-operators.ts';
import { type Activation, type AddNode, activate, activationsOf } from './activations.ts';

/** A cell: how one step makes new states from the last ones. */
interface Cell {
  readonly gates: number;
  readonly activations: readonly string[];
  /** Positions of the inputs with the initial states. */
  readonly states: readonly number[];
  /** Whether the biases of the recurrent product are added inside the step. */
  innerBias(context: LoweringContext): boolean;
  step(step: Step): readonly string[];
}

/** One direction of a recurrent node, taken out of its stacked inputs. */
interface Direction {
  readonly reverse: boolean;
  readonly activations: readonly Activation[];
  /** Recurrent weights [gates·hidden, hidden]. */
  readonly weights: string;
  readonly innerBias: string;
  /** Peephole weights [3·hidden], or the empty name. */
  readonly peepholes: string;
}

/** What a cell builds a step with. */
interface Step {
  readonly context: LoweringContext;
  readonly direction: Direction;
  readonly hidden: number;
  readonly body: GraphBuilder;
  readonly op: AddNode;
  /** The inputs' share [batch, gates·hidden]. */
  readonly x: string;
  /** The last states [batch, hidden]. */
  readonly states: readonly string[];
  number(value: number): string;
  /** Parts of `count` times the hidden size along the last axis. */
  split(value: string, counts: readonly number[]): readonly string[];
  /** The activation at an index, of an input clipped as the node says. */
  activate(index: number, x: string, asIs?: boolean): string;
}

const transposed: Attributes = { transB: int(1) };

const rnn: Cell = {
  gates: 1,
  activations: ['Tanh'],
  states: [5],
  innerBias: () => false,
  step({ op, x, states, direction, activate }) {
    return [activate(0, op('Gemm', [states[0] as string, direction.weights, x], transposed))];
  },
};

/** (1 − z)·n + z·h. */
const mixed = (op: AddNode, z: string, h: string, n: string): string =>
  op('Add', [n, op('Mul', [z, op('Sub', [h, n])])]);

const resetsLate = ({ node }: LoweringContext): boolean => intOf(node, 'linear_before_reset', 0) !== 0;

const gru: Cell = {
  gates: 3,
  activations: ['Sigmoid', 'Tanh'],
  states: [5],
  innerBias: resetsLate,
  step({ context, op, x, states, direction, split, activate }) {
    const h = states[0] as string;
    const [outer = '', candidate = ''] = split(x, [2, 1]);
    if (resetsLate(context)) {
      const bias = direction.innerBias === '' ? [] : [direction.innerBias];
      const product = op('Gemm', [h, direction.weights, ...bias], transposed);
      const [gates = '', own = ''] = split(product, [2, 1]);
      const [z = '', r = ''] = split(activate(0, op('Add', [outer, gates])), [1, 1]);
      return [mixed(op, z, h, activate(1, op('Add', [candidate, op('Mul', [r, own])])))];
    }
    const [forGates = '', forCandidate = ''] = splitRows(context, direction.weights, [2, 1]);
    const [z = '', r = ''] = split(activate(0, op('Gemm', [h, forGates, outer], transposed)), [1, 1]);
    const n = op('Gemm', [op('Mul', [r, h]), forCandidate, candidate], transposed);
    return [mixed(op, z, h, activate(1, n))];
  },
};

/** Input, output and forget gates of an LSTM at once, when they look at nothing but the product. */
function plainGates({ split, activate }: Step, product: string): readonly string[] {
  const [gates = '', cell = ''] = split(product, [3, 1]);
  return [...split(activate(0, gates), [1, 1, 1]), activate(1, cell)];
}

const lstm: Cell = {
  gates: 4,
  activations: ['Sigmoid', 'Tanh', 'Tanh'],
  states: [5, 6],
  innerBias: () => false,
  step(step) {
    const { context, op, x, states, direction, number, split, activate } = step;
    const [h = '', c = ''] = states;
    const product = op('Gemm', [h, direction.weights, x], transposed);
    const coupled = intOf(context.node, 'input_forget', 0) !== 0;
    if (!coupled && direction.peepholes === '') {
      const [i = '', o = '', f = '', cell = ''] = plainGates(step, product);
      const next = op('Add', [op('Mul', [f, c]), op('Mul', [i, cell])]);
      return [op('Mul', [o, activate(2, next, true)]), next];
    }
    const [input = '', output = '', forget = '', cell = ''] = split(product, [1, 1, 1, 1]);
    const [byInput = '', byOutput = '', byForget = ''] =
      direction.peepholes === '' ? [] : splitRows(context, direction.peepholes, [1, 1, 1]);
    const seen = (gate: string, state: string, weights: string): string =>
      weights === '' ? gate : op('Add', [gate, op('Mul', [state, weights])]);
    const i = activate(0, seen(input, c, byInput));
    const f = coupled ? op('Sub', [number(1), i]) : activate(0, seen(forget, c, byForget));
    const next = op('Add', [op('Mul', [f, c]), op('Mul', [i, activate(1, cell)])]);
    const o = activate(0, seen(output, next, byOutput));
    return [op('Mul', [o, activate(2, next, true)]), next];
  },
};

const hiddenSize = (context: LoweringContext): number => context.sizeOf(context.input(2), 2);

const splitSizes = (context: LoweringContext, counts: readonly number[]): readonly number[] =>
  counts.map((count) => count * hiddenSize(context));

/** Parts of a weight, outside of the step: `counts` times the hidden size along the first axis. */
const splitRows = (context: LoweringContext, value: string, counts: readonly number[]): readonly string[] =>
  context.ops('Split', [value, context.backward.graph.int64s(splitSizes(context, counts))], counts.length, {
    axis: int(0),
  });

/** One value per direction of an input whose first dimension counts the directions; the empty name if it is absent. */
function perDirection(context: LoweringContext, value: string, directions: number): readonly string[] {
  if (value === '') return Array.from({ length: directions }, () => '');
  const { graph } = context.backward;
  const ones = graph.int64s(Array.from({ length: directions }, () => 1));
  const parts =
    directions === 1 ? [value] : context.ops('Split', [value, ones], directions, { axis: int(0) });
  return parts.map((part) => context.op('Squeeze', [part, graph.int64s([0])]));
}

/** The inputs' share of all gates at all steps: [length, batch, gates·hidden]. */
function inputShare(context: LoweringContext, x: string, weights: string, bias: string): string {
  const { op, backward } = context;
  const { graph } = backward;
  const rows = op('Reshape', [x, graph.int64s([-1, context.sizeOf(x, 2)])]);
  const product = op('Gemm', bias === '' ? [rows, weights] : [rows, weights, bias], transposed);
  const [length, batch] = [backward.sizeValue(x, 0), backward.sizeValue(x, 1)];
  const shape = op('Concat', [length, batch, graph.int64s([context.sizeOf(weights, 0)])], { axis: int(0) });
  return op('Reshape', [product, shape]);
}

/** Zeros [batch, hidden]. */
function zeroState(context: LoweringContext, x: string): string {
  const { op, backward } = context;
  const shape = op('Concat', [backward.sizeValue(x, 1), backward.graph.int64s([hiddenSize(context)])], {
    axis: int(0),
  });
  const type = backward.typeOf(x);
  const data = type === 'float64' ? Float64Array.of(0) : Float32Array.of(0);
  return op('ConstantOfShape', [shape], { value: tensorAttribute({ name: '', type, shape: [1], data }) });
}

/** Whether each sequence still runs at each step: [length, batch, 1]. */
function running(context: LoweringContext, x: string, lengths: string): string {
  const { op, backward } = context;
  const { graph } = backward;
  const count = op('Squeeze', [backward.sizeValue(x, 0), graph.int64s([0])]);
  const steps = op('Range', [graph.int64(0), count, graph.int64(1)]);
  const times = op('Unsqueeze', [steps, graph.int64s([1, 2])]);
  const ends = op('Unsqueeze', [op('Cast', [lengths], { to: int(typeCodes.int64) }), graph.int64s([1])]);
  return op('Less', [times, ends]);
}

interface BodyInit {
  readonly context: LoweringContext;
  readonly cell: Cell;
  readonly direction: Direction;
  readonly type: ElementType;
  readonly masked: boolean;
  readonly givesSteps: boolean;
}

/** The body of the Scan: states, the inputs' share and perhaps the mask come in; states and perhaps h go out. */
function buildBody({ context, cell, direction, type, masked, givesSteps }: BodyInit) {
  const body = context.backward.graph.subgraph('step');
  const op: AddNode = (operator, inputs, attributes = {}) =>
    body.node(operator, inputs, attributes, `step.${operator}`);
  const number = (value: number): string => (type === 'float64' ? body.float64(value) : body.float32(value));
  const stem = context.node.outputs.find((output) => output !== '') ?? 'recurrent';
  const suffix = direction.reverse ? '.reverse' : '';
  const states = cell.states.map((_, index) => body.input(`${stem}${suffix}.state${index}`, type, []));
  const x = body.input(`${stem}${suffix}.share`, type, []);
  const mask = masked ? body.input(`${stem}${suffix}.runs`, 'bool', []) : '';
  const clip = context.node.attributes.clip;
  const clipped = (value: string): string =>
    clip?.kind === 'float' && clip.value > 0
      ? op('Clip', [value, number(-clip.value), number(clip.value)])
      : value;
  const next = cell.step({
    context,
    direction,
    hidden: hiddenSize(context),
    body,
    op,
    x,
    states,
    number,
    split: (value, counts) =>
      body.nodes(
        'Split',
        [value, body.int64s(splitSizes(context, counts))],
        counts.map(() => 'step.Split'),
        { axis: int(-1) },
      ),
    activate: (index, value, asIs = false) =>
      activate(op, direction.activations[index] as Activation, asIs ? value : clipped(value), number),
  });
  const kept = next.map((state, index) =>
    masked ? op('Where', [mask, state, states[index] as string]) : state,
  );
  const outputs = kept.map((state) => op('Identity', [state]));
  if (givesSteps)
    outputs.push(
      masked ? op('Where', [mask, next[0] as string, number(0)]) : op('Identity', [next[0] as string]),
    );
  for (const output of outputs) body.output(output, type);
  const graph = body.graph();
  const untyped = graph.inputs.map(({ name, type: inputType }) => ({ name, type: inputType }));
  return { ...graph, inputs: untyped };
}

/** Outputs of one direction: the last states [batch, hidden], and h at each step [length, batch, hidden]. */
function lowerDirection(
  init: BodyInit,
  share: string,
  states: readonly string[],
  mask: string,
): readonly string[] {
  const { context, direction, givesSteps } = init;
  const scanned = mask === '' ? [share] : [share, mask];
  const backwards = direction.reverse ? 1 : 0;
  const count = states.length + (givesSteps ? 1 : 0);
  return context.ops('Scan', [...states, ...scanned], count, {
    body: graphAttribute(buildBody(init)),
    num_scan_inputs: int(scanned.length),
    scan_input_directions: ints(scanned.map(() => backwards)),
    ...(givesSteps ? { scan_output_directions: ints([backwards]) } : {}),
  });
}

/** The biases of the inputs' product [gates·hidden], and those that stay inside the step. */
function biasesOf(context: LoweringContext, cell: Cell, bias: string): readonly [string, string] {
  if (bias === '') return ['', ''];
  const [outer = '', inner = ''] = splitRows(context, bias, [cell.gates, cell.gates]);
  return cell.innerBias(context) ? [outer, inner] : [context.op('Add', [outer, inner]), ''];
}

const lowering =
  (cell: Cell): Lowering =>
  (context) => {
    const { op, node, backward } = context;
    const { graph } = backward;
    const given = textOf(node, 'direction', 'forward').toLowerCase();
    const directions = given === 'bidirectional' ? 2 : 1;
    const batchFirst = intOf(node, 'layout', 0) === 1;
    const swapped = (value: string, perm: readonly number[]): string =>
      batchFirst && value !== '' ? op('Transpose', [value], { perm: ints(perm) }) : value;
    const x = swapped(context.input(0), [1, 0, 2]);
    const lengths = context.input(4);
    const mask = lengths === '' ? '' : running(context, x, lengths);
    const weights = perDirection(context, context.input(1), directions);
    const recurrent = perDirection(context, context.input(2), directions);
    const biases = perDirection(context, context.input(3), directions);
    const peepholes = perDirection(context, cell === lstm ? context.input(7) : '', directions);
    const activations = activationsOf(context, cell.activations, directions);
    const initial = cell.states.map((index) =>
      perDirection(context, swapped(context.input(index), [1, 0, 2]), directions),
    );
    const results = Array.from({ length: directions }, (_, index) => {
      const [outerBias, innerBias] = biasesOf(context, cell, biases[index] ?? '');
      const direction: Direction = {
        reverse: given === 'reverse' || index === 1,
        activations: activations[index] ?? [],
        weights: recurrent[index] ?? '',
        innerBias,
        peepholes: peepholes[index] ?? '',
      };
      const share = inputShare(context, x, weights[index] ?? '', outerBias);
      const states = initial.map((state) => state[index] || zeroState(context, x));
      const type = backward.typeOf(x);
      const init = { context, cell, direction, type, masked: mask !== '', givesSteps: context.has(0) };
      return lowerDirection(init, share, states, mask);
    });
    const joined = (index: number, axis: number): string => {
      const parts = results.map((result) => op('Unsqueeze', [result[index] as string, graph.int64s([axis])]));
      return parts.length === 1 ? (parts[0] as string) : op('Concat', parts, { axis: int(axis) });
    };
    const count = cell.states.length;
    return [
      context.has(0) ? swapped(joined(count, 1), [2, 0, 1, 3]) : undefined,
      ...cell.states.map((_, index) =>
        context.has(index + 1) ? swapped(joined(index, 0), [1, 0, 2]) : undefined,
      ),
    ];
  };

/** Recurrent networks. */
export const recurrentLowerings: Lowerings = {
  RNN: lowering(rnn),
  GRU: lowering(gru),
  LSTM: lowering(lstm),
};
