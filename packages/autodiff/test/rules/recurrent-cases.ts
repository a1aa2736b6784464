import {
  type Attributes,
  createGraphBuilder,
  float,
  floats,
  graphAttribute,
  int,
  text,
} from '@murmuration/onnx';
import { tensor } from '../run-model.ts';
import { type CaseInput, type RuleCase, truths } from './rule-case.ts';

const [length, batch, width, hidden] = [3, 2, 3, 4];
const gates: Readonly<Record<string, number>> = { RNN: 1, GRU: 3, LSTM: 4 };

interface Variant {
  readonly note: string;
  readonly directions?: number;
  readonly bias?: boolean;
  readonly states?: boolean;
  readonly lengths?: readonly number[];
  readonly peepholes?: boolean;
  readonly batchFirst?: boolean;
  readonly attributes?: Attributes;
}

/** Sizes of weights are numbers; length and batch may be symbols. */
const x = (...shape: readonly number[]): CaseInput => ({ shape, fixed: [2] });
const weight = (...shape: readonly number[]): CaseInput => ({ shape, fixed: [0, 1, 2] });

/** A recurrent node with the inputs that a variant asks for. */
function recurrent(operator: string, variant: Variant): RuleCase {
  const { directions = 1, bias = true, lengths, batchFirst = false } = variant;
  const rows = (gates[operator] ?? 1) * hidden;
  const stateShape = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  const state: CaseInput = { shape: stateShape, fixed: batchFirst ? [1, 2] : [0, 2] };
  const initial: CaseInput = variant.states ? state : 'absent';
  const lengthInput: CaseInput = lengths ? { constant: tensor([batch], lengths, 'int32') } : 'absent';
  return {
    operator,
    inputs: [
      batchFirst ? x(batch, length, width) : x(length, batch, width),
      weight(directions, rows, width),
      weight(directions, rows, hidden),
      bias ? weight(directions, 2 * rows) : 'absent',
      lengthInput,
      initial,
      ...(operator === 'LSTM' ? [initial] : []),
      ...(variant.peepholes ? [weight(directions, 3 * hidden)] : []),
    ],
    outputs: operator === 'LSTM' ? 3 : 2,
    note: variant.note,
    attributes: {
      hidden_size: int(hidden),
      ...(directions === 2 ? { direction: text('bidirectional') } : {}),
      ...(batchFirst ? { layout: int(1) } : {}),
      ...variant.attributes,
    },
  };
}

const activations = (...value: readonly string[]): Attributes => ({ activations: { kind: 'texts', value } });

const forAll: readonly Variant[] = [
  { note: 'plain' },
  { note: 'no bias, initial states', bias: false, states: true },
  { note: 'reverse', attributes: { direction: text('reverse') } },
  { note: 'both directions, initial states', directions: 2, states: true },
  { note: 'lengths', lengths: [2, 3], states: true },
  { note: 'lengths in both directions', lengths: [3, 1], directions: 2 },
  { note: 'batch first', batchFirst: true, directions: 2, states: true },
];

/** h′ = tanh(h·x), which is also what each step gives. */
function products(): Attributes {
  const body = createGraphBuilder('step');
  const state = body.input('step.h', 'float32', [2, 3]);
  const next = body.node('Tanh', [body.node('Mul', [state, body.input('step.x', 'float32', [2, 3])])]);
  for (const output of [next, body.node('Identity', [next])]) body.output(output, 'float32');
  return { body: graphAttribute(body.graph()), num_scan_inputs: int(1) };
}

/** h′ = sin(h)·(turn + 1), three times. */
function turns(): Attributes {
  const body = createGraphBuilder('turn');
  const turn = body.input('turn', 'int64', []);
  body.input('goes.on', 'bool', []);
  const next = body.node('Add', [turn, body.int64(1)]);
  body.output(body.node('Less', [next, body.int64(3)]), 'bool');
  const waves = body.node('Sin', [body.input('turn.h', 'float32', [2, 3])]);
  body.output(body.node('Mul', [waves, body.node('Cast', [next], { to: int(1) })]), 'float32');
  return { body: graphAttribute(body.graph()) };
}

/** Recurrent networks and what they are made of. */
export const recurrentCases: readonly RuleCase[] = [
  ...Object.keys(gates).flatMap((operator) => forAll.map((variant) => recurrent(operator, variant))),
  { operator: 'Scan', inputs: [{ shape: [2, 3] }, { shape: [4, 2, 3] }], attributes: products(), outputs: 2 },
  {
    operator: 'Loop',
    inputs: ['absent', truths([1], []), { shape: [2, 3] }],
    attributes: turns(),
    note: 'ends by itself',
  },
  recurrent('RNN', { note: 'clip', attributes: { clip: float(1.2) } }),
  recurrent('RNN', {
    note: 'activations',
    directions: 2,
    attributes: {
      ...activations('Affine', 'ScaledTanh'),
      activation_alpha: floats([0.5, 1.5]),
      activation_beta: floats([0.1, 0.7]),
    },
  }),
  recurrent('GRU', { note: 'reset after the product', attributes: { linear_before_reset: int(1) } }),
  recurrent('GRU', {
    note: 'reset after the product, no bias',
    bias: false,
    directions: 2,
    attributes: { linear_before_reset: int(1) },
  }),
  recurrent('GRU', { note: 'activations', attributes: activations('HardSigmoid', 'Softsign') }),
  recurrent('LSTM', { note: 'peepholes', peepholes: true, directions: 2, states: true }),
  recurrent('LSTM', { note: 'coupled gates', attributes: { input_forget: int(1) } }),
  recurrent('LSTM', {
    note: 'activations',
    attributes: { ...activations('HardSigmoid', 'Softsign', 'Affine'), activation_alpha: floats([0.3, 0.8]) },
  }),
];
