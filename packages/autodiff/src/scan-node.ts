/** A Scan or Loop taken apart: which inputs are states, which are walked along, and how. */
import {
  capturedValues,
  type Dimension,
  type Graph,
  graphOf,
  intOf,
  intsOf,
  type Model,
  type Node,
  type Tensor,
  type ValueInfo,
} from '@murmuration/onnx';
import type { Backward } from './backward.ts';
import { fromFront, unsupported } from './rules/rule.ts';

/** One value of a Scan that has a time axis. */
export interface Track {
  /** The stacked value outside. */
  readonly outer: string;
  /** One step of it inside the body. */
  readonly inner: string;
  readonly axis: number;
  /** 0: the first step is the first element; 1: the last is. */
  readonly direction: number;
}

/** A value that a Scan carries from step to step. */
export interface State {
  readonly initial: string;
  readonly final: string;
  /** The body's input, and its output that is the next step's input. */
  readonly before: string;
  readonly after: string;
}

/** What a Scan consists of; or a Loop, which has no inputs that it walks along. */
export interface ScanParts {
  readonly body: Graph;
  /** The position of the first state among the node's inputs. */
  readonly first: number;
  /** Inputs of a Loop's body in front of its states: the number of the turn, and the condition. */
  readonly counters: readonly string[];
  readonly states: readonly State[];
  readonly inputs: readonly Track[];
  readonly outputs: readonly Track[];
  /** The direction in which values of each step are stacked: that of the first input. */
  readonly direction: number;
}

/** Whether a node repeats a graph. */
export const repeats = ({ operator, domain }: Node): boolean =>
  domain === '' && (operator === 'Scan' || operator === 'Loop');

/** Takes a Scan or a Loop apart. Throws `AutodiffError` `unsupported` when body and node do not fit together. */
export function scanParts(node: Node): ScanParts {
  const body = graphOf(node, 'body');
  const [first, given] = node.operator === 'Loop' ? [2, 1] : [0, 0];
  const inputCount = node.operator === 'Loop' ? 0 : intOf(node, 'num_scan_inputs', 0);
  const stateCount = node.inputs.length - first - inputCount;
  const outputCount = (body?.outputs.length ?? 0) - given - stateCount;
  const fits = stateCount >= 0 && outputCount >= 0 && body?.inputs.length === node.inputs.length;
  if (!body || !fits || (inputCount < 1 && node.operator === 'Scan'))
    throw unsupported(
      node,
      `expected a body with as many inputs as the node's ${node.inputs.length} and one output per state, ` +
        `got ${body?.inputs.length ?? 'none'} and ${body?.outputs.length ?? 'none'}`,
    );
  const at = (name: string, index: number): number => intsOf(node, name)?.[index] ?? 0;
  const inputs = Array.from({ length: inputCount }, (_, index) => ({
    outer: node.inputs[stateCount + index] as string,
    inner: body.inputs[stateCount + index]?.name as string,
    axis: at('scan_input_axes', index),
    direction: at('scan_input_directions', index),
  }));
  return {
    body,
    first,
    counters: body.inputs.slice(0, first).map(({ name }) => name),
    inputs,
    states: Array.from({ length: stateCount }, (_, index) => ({
      initial: node.inputs[first + index] as string,
      final: node.outputs[index] ?? '',
      before: body.inputs[first + index]?.name as string,
      after: body.outputs[given + index]?.name as string,
    })),
    outputs: Array.from({ length: outputCount }, (_, index) => ({
      outer: node.outputs[stateCount + index] ?? '',
      inner: body.outputs[given + stateCount + index]?.name as string,
      axis: at('scan_output_axes', index),
      direction: at('scan_output_directions', index),
    })),
    direction: inputs[0]?.direction ?? 0,
  };
}

/**
 * Values of the body's steps that a Scan gives stacked along axis 0 in its own direction, by their names in the body;
 * a copy made for output stands for what it copies.
 */
export function stackedValues({ body, outputs, direction }: ScanParts): ReadonlyMap<string, string> {
  const copies = new Map(
    body.nodes.flatMap((node): [string, string][] =>
      node.operator === 'Identity' ? [[node.outputs[0] as string, node.inputs[0] as string]] : [],
    ),
  );
  const stacked = new Map<string, string>();
  for (const { outer, inner, axis, direction: own } of outputs) {
    if (outer === '' || axis !== 0 || own !== direction) continue;
    stacked.set(inner, outer);
    stacked.set(copies.get(inner) ?? inner, outer);
  }
  return stacked;
}

/** The shape of one step of a stacked value. */
export function stepShape(backward: Backward, { outer, axis }: Track): readonly Dimension[] | undefined {
  const shape = outer === '' ? undefined : backward.knownShape(outer);
  return shape?.toSpliced(fromFront(axis, shape.length), 1);
}

/** A value with a type and, if there is one, a shape. */
export const declared = (
  name: string,
  type: ValueInfo['type'],
  shape: readonly Dimension[] | undefined,
): ValueInfo => (shape ? { name, type, shape } : { name, type });

/** A captured value as a constant of the body's model, if its data are known. */
function constantOf(backward: Backward, name: string): Tensor | undefined {
  const constant = backward.constantOf(name);
  if (constant) return { ...constant, name };
  const numbers = backward.typeOf(name) === 'int64' ? backward.numbersOf(name) : undefined;
  const rank = backward.knownShape(name)?.length;
  return numbers && (rank === 1 || rank === 0)
    ? {
        name,
        type: 'int64',
        shape: rank === 1 ? [numbers.length] : [],
        data: BigInt64Array.from(numbers, BigInt),
      }
    : undefined;
}

/** The body as a model of its own: what it captures is given, and so are the values of `extra`. */
export function bodyModel(backward: Backward, parts: ScanParts, extra: readonly ValueInfo[]): Model {
  const like = (name: string, value: string): ValueInfo =>
    declared(name, backward.typeOf(value), backward.knownShape(value));
  const captured = capturedValues(parts.body);
  const constants = captured.flatMap((name) => constantOf(backward, name) ?? []);
  const constant = new Set(constants.map(({ name }) => name));
  return {
    irVersion: 10,
    producer: '',
    opsets: {},
    metadata: {},
    graph: {
      ...parts.body,
      inputs: [
        ...parts.body.inputs.slice(0, parts.first).map(({ name, type }) => declared(name, type, [])),
        ...parts.states.map(({ before, initial }) => like(before, initial)),
        ...parts.inputs.map((track) =>
          declared(track.inner, backward.typeOf(track.outer), stepShape(backward, track)),
        ),
        ...captured.filter((name) => !constant.has(name)).map((name) => like(name, name)),
        ...extra,
      ],
      initializers: [...parts.body.initializers, ...constants],
    },
  };
}
