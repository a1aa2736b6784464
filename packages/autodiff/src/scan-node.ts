/** A Scan taken apart: which inputs are states, which are walked along, and how. */
import { type Graph, graphOf, intOf, intsOf, type Node } from '@murmuration/onnx';
import { unsupported } from './rules/rule.ts';

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

/** What a Scan consists of. */
export interface ScanParts {
  readonly body: Graph;
  readonly states: readonly State[];
  readonly inputs: readonly Track[];
  readonly outputs: readonly Track[];
  /** The direction in which values of each step are stacked: that of the first input. */
  readonly direction: number;
}

/** Takes a Scan apart. Throws `AutodiffError` `unsupported` when body and node do not fit together. */
export function scanParts(node: Node): ScanParts {
  const body = graphOf(node, 'body');
  const inputCount = intOf(node, 'num_scan_inputs', 0);
  const stateCount = node.inputs.length - inputCount;
  const outputCount = (body?.outputs.length ?? 0) - stateCount;
  if (
    !body ||
    inputCount < 1 ||
    stateCount < 0 ||
    outputCount < 0 ||
    body.inputs.length !== node.inputs.length
  )
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
    inputs,
    states: Array.from({ length: stateCount }, (_, index) => ({
      initial: node.inputs[index] as string,
      final: node.outputs[index] ?? '',
      before: body.inputs[index]?.name as string,
      after: body.outputs[index]?.name as string,
    })),
    outputs: Array.from({ length: outputCount }, (_, index) => ({
      outer: node.outputs[stateCount + index] ?? '',
      inner: body.outputs[stateCount + index]?.name as string,
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
