/**
 * Pads for all axes in the place of pads for some. onnxruntime's transpose optimizer moves Transpose past Pad and
 * reorders `pads` as if there were no `axes` (found with 1.30), so that a file which is right by itself does not run.
 */
import type { KnownValues } from '../infer-shapes.ts';
import { int, int64Tensor, type Node } from '../model.ts';
import { numbersOf } from './constant-tensor.ts';
import type { Scope } from './scope.ts';

/** Whether a node pads some axes only, of a value whose rank is known. */
export const padsSomeAxes = (
  { domain, operator, inputs }: Node,
  known: KnownValues,
): boolean =>
  domain === '' && operator === 'Pad' && (inputs[3] ?? '') !== '' && known.get(inputs[0] ?? '')?.shape !== undefined;

/** Where in a list of pads for some axes, with a zero behind it, the pads of each axis are. */
function placesOf(axes: readonly number[], rank: number): readonly number[] | undefined {
  const counted = axes.map((axis) => (axis < 0 ? axis + rank : axis));
  const isRight = counted.every((axis, index) => axis < rank && counted.indexOf(axis) === index);
  if (!isRight) return undefined;
  const places = Array.from({ length: rank }, (_, axis) => counted.indexOf(axis));
  const zero = 2 * axes.length;
  return [0, axes.length].flatMap((side) => places.map((place) => (place < 0 ? zero : side + place)));
}

/**
 * The node that pads all axes, behind those that compute its pads, if the axes are constant and the rank is known;
 * nothing for any other node.
 */
export function withWholePads(node: Node, scope: Scope): readonly Node[] | undefined {
  const { known, names } = scope.session;
  const [data = '', pads = '', value = '', axes = ''] = node.inputs;
  const listed = scope.constantOf(axes)?.tensor;
  if (!listed || !padsSomeAxes(node, known)) return undefined;
  const places = placesOf(numbersOf(listed), known.get(data)?.shape?.length ?? 0);
  if (!places) return undefined;
  const constant = (stem: string, values: readonly number[]): string => {
    const name = names.fresh(`${node.outputs[0]}:${stem}`);
    scope.addComputed(name, int64Tensor(name, [...values]));
    return scope.resolve(name);
  };
  const whole = (list: string): Node => ({
    ...node,
    inputs: value === '' ? [data, list] : [data, list, value],
  });
  const given = scope.constantOf(pads)?.tensor;
  if (given) {
    const amounts = numbersOf(given);
    return [whole(constant('pads', places.map((place) => amounts[place] ?? 0)))];
  }
  const [longer, list] = ['pads and zero', 'pads'].map((stem) => names.fresh(`${node.outputs[0]}:${stem}`)) as [
    string,
    string,
  ];
  const made = { domain: '', attributes: { axis: int(0) } };
  return [
    { ...made, name: longer, operator: 'Concat', inputs: [pads, constant('zero', [0])], outputs: [longer] },
    { ...made, name: list, operator: 'Gather', inputs: [longer, constant('places', places)], outputs: [list] },
    whole(list),
  ];
}
