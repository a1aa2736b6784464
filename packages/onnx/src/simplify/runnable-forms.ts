/**
 * Forms that onnxruntime 1.30 runs, in the place of others that mean the same, found in files that exporters write:
 *
 * - Pad gets pads for all axes. The transpose optimizer moves Transpose past Pad and reorders `pads` as if there were
 *   no `axes`.
 * - RotaryEmbedding without positions gets angles for every sequence of the batch. PyTorch writes one table for all,
 *   which the kernel refuses.
 */
import type { KnownValues } from '../infer-shapes.ts';
import { type Attributes, int, int64Tensor, type Node } from '../model.ts';
import { numbersOf } from './constant-tensor.ts';
import type { Scope } from './scope.ts';

/** How nodes of one operator get the form that runs. */
interface RunnableForm {
  /** Whether a node, whose inputs' shapes are known as far as can be, has another form. */
  readonly isOther: (node: Node, known: KnownValues, isConstant: (value: string) => boolean) => boolean;
  /** The node in the form that runs, behind those that compute its inputs. */
  readonly rewrite: (node: Node, scope: Scope) => readonly Node[] | undefined;
}

/** A constant list of integers; `stem` says of what. */
function constantList(scope: Scope, node: Node, stem: string, values: readonly number[]): string {
  const name = scope.session.names.fresh(`${node.outputs[0]}:${stem}`);
  scope.addComputed(name, int64Tensor(name, [...values]));
  return scope.resolve(name);
}

/** A node in front of another one; its output has its name. */
function inFront(
  scope: Scope,
  node: Node,
  operator: string,
  inputs: readonly string[],
  attributes: Attributes = {},
): Node & { readonly outputs: readonly [string] } {
  const name = scope.session.names.fresh(`${node.outputs[0]}:${operator}`);
  return { name, operator, domain: '', inputs, outputs: [name], attributes };
}

/** Where in a list of pads for some axes, with a zero behind it, the pads of each axis are. */
function placesOf(axes: readonly number[], rank: number): readonly number[] | undefined {
  const counted = axes.map((axis) => (axis < 0 ? axis + rank : axis));
  const isRight = counted.every((axis, index) => axis < rank && counted.indexOf(axis) === index);
  if (!isRight) return undefined;
  const places = Array.from({ length: rank }, (_, axis) => counted.indexOf(axis));
  const zero = 2 * axes.length;
  return [0, axes.length].flatMap((side) => places.map((place) => (place < 0 ? zero : side + place)));
}

const pad: RunnableForm = {
  isOther: ({ inputs: [data = '', , , axes = ''] }, known, isConstant) =>
    axes !== '' && isConstant(axes) && known.get(data)?.shape !== undefined,
  rewrite(node, scope) {
    const [data = '', pads = '', value = '', axes = ''] = node.inputs;
    const listed = scope.constantOf(axes)?.tensor;
    const rank = scope.session.known.get(data)?.shape?.length ?? 0;
    const places = listed && placesOf(numbersOf(listed), rank);
    if (!places) return undefined;
    const whole = (list: string): Node => ({
      ...node,
      inputs: value === '' ? [data, list] : [data, list, value],
    });
    const given = scope.constantOf(pads)?.tensor;
    if (given) {
      const amounts = numbersOf(given);
      const all = places.map((place) => amounts[place] ?? 0);
      return [whole(constantList(scope, node, 'pads', all))];
    }
    const zero = constantList(scope, node, 'zero', [0]);
    const longer = inFront(scope, node, 'Concat', [pads, zero], { axis: int(0) });
    const indices = constantList(scope, node, 'places', places);
    const list = inFront(scope, node, 'Gather', [longer.name, indices], { axis: int(0) });
    return [longer, list, whole(list.name)];
  },
};

const rotaryEmbedding: RunnableForm = {
  isOther({ inputs: [x = '', cosines = '', , positions = ''] }, known) {
    const [data, table] = [x, cosines].map((value) => known.get(value)?.shape);
    return positions === '' && data !== undefined && data[0] !== 1 && table?.length === 3 && table[0] === 1;
  },
  rewrite(node, scope) {
    const [x = '', ...tables] = node.inputs;
    const batch = inFront(scope, node, 'Shape', [x], { start: int(0), end: int(1) });
    const ones = constantList(scope, node, 'ones', [1, 1]);
    const sizes = inFront(scope, node, 'Concat', [batch.name, ones], { axis: int(0) });
    const whole = tables.slice(0, 2).map((table) => inFront(scope, node, 'Expand', [table, sizes.name]));
    return [batch, sizes, ...whole, { ...node, inputs: [x, ...whole.map(({ name }) => name)] }];
  },
};

const forms: Readonly<Record<string, RunnableForm>> = { Pad: pad, RotaryEmbedding: rotaryEmbedding };

const formOf = ({ domain, operator }: Node): RunnableForm | undefined =>
  domain === '' && Object.hasOwn(forms, operator) ? forms[operator] : undefined;

/** Whether `inRunnableForm` would rewrite a node once shape inference has found what is known. */
export const hasOtherForm = (
  node: Node,
  known: KnownValues,
  isConstant: (value: string) => boolean,
): boolean => formOf(node)?.isOther(node, known, isConstant) ?? false;

/** The node in the form that onnxruntime runs, behind those that compute its inputs; nothing if it has that form. */
export function inRunnableForm(node: Node, scope: Scope): readonly Node[] | undefined {
  const form = formOf(node);
  const isConstant = (value: string): boolean => scope.constantOf(value) !== undefined;
  return form?.isOther(node, scope.session.known, isConstant) ? form.rewrite(node, scope) : undefined;
}
