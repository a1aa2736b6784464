import { foldedElementsMax } from '../defaults.ts';
import { intOf, type Node, type Tensor, tensorOf } from '../model.ts';
import { elementTypeOf } from '../tensor-data.ts';
import { build, coordinatesOf, isInteger, isWide, numbersOf } from './constant-tensor.ts';
import { arithmeticFolds, castTensor } from './fold-arithmetic.ts';
import { layoutFolds } from './fold-layout.ts';

/** A node's outputs when its inputs are constant; nothing, or nothing in some place, when they are not computed. */
export type Folded = readonly (Tensor | undefined)[] | undefined;

/** Computes a node from constants; an input that is left out is undefined. */
export type Fold = (node: Node, inputs: readonly (Tensor | undefined)[]) => Folded;

const int64List = (values: readonly number[]): Tensor | undefined =>
  build('int64', [values.length], (index) => BigInt(values[index] as number));

const shape: Fold = (node, [data]) => {
  if (!data) return undefined;
  const end = node.attributes.end ? intOf(node, 'end', 0) : data.shape.length;
  return [int64List(data.shape.slice(intOf(node, 'start', 0), end))];
};

const size: Fold = (_, [data]) => data && [build('int64', [], () => BigInt(data.data.length))];

const constantOfShape: Fold = (node, [sizes]) => {
  const value = tensorOf(node, 'value');
  const element = value ? value.data[0] : 0;
  return sizes && [build(value?.type ?? 'float32', numbersOf(sizes), () => element)];
};

const range: Fold = (_, [start, limit, step]) => {
  if (!start || !limit || !step || !isInteger(start.type)) return undefined;
  const [from = 0, to = 0, by = 0] = [start, limit, step].map((each) => Number(each.data[0]));
  if (by === 0) return undefined;
  const count = Math.max(0, Math.ceil((to - from) / by));
  const wide = isWide(start.type);
  return [build(start.type, [count], (index) => (wide ? BigInt(from + index * by) : from + index * by))];
};

const cast: Fold = (node, [data]) => data && [castTensor(data, elementTypeOf(intOf(node, 'to', 1), 'Cast'))];
const castLike: Fold = (_, [data, like]) => data && like && [castTensor(data, like.type)];

const nonZero: Fold = (_, [data]) => {
  if (!data || data.shape.length === 0) return undefined;
  const found: number[][] = [];
  for (let index = 0; index < data.data.length; index++)
    if (Number(data.data[index]) !== 0 && found.push(coordinatesOf(index, data.shape)) > foldedElementsMax)
      return undefined;
  const rank = data.shape.length;
  return [
    build('int64', [rank, found.length], (index) =>
      BigInt(found[index % found.length]?.[Math.floor(index / found.length)] as number),
    ),
  ];
};

const folds: Readonly<Record<string, Fold>> = {
  ...layoutFolds,
  ...arithmeticFolds,
  Shape: shape,
  Size: size,
  ConstantOfShape: constantOfShape,
  Range: range,
  Cast: cast,
  CastLike: castLike,
  NonZero: nonZero,
};

const readsAll = (operator: string): boolean => operator.startsWith('Reduce') || operator === 'NonZero';

const foldOf = ({ domain, operator }: Node): Fold | undefined =>
  domain === '' && Object.hasOwn(folds, operator) ? folds[operator] : undefined;

/**
 * Elements that `foldNode` reads at most, whatever comes of it; most operators read as many of the first input as they
 * write.
 */
export function foldCost(node: Node, inputs: readonly (Tensor | undefined)[]): number {
  if (!foldOf(node)) return 0;
  const [first = 0, ...others] = inputs.map((input) => input?.data.length ?? 0);
  const ofFirst = readsAll(node.operator) ? first : Math.min(first, foldedElementsMax);
  return others.reduce((sum, length) => sum + length, ofFirst);
}

/**
 * The outputs of a node of the canonical opset whose inputs are all constant; nothing when the operator is not among
 * those that are computed ahead, or the result would be too large, or the inputs make no sense.
 */
export function foldNode(node: Node, inputs: readonly (Tensor | undefined)[]): Folded {
  const outputs = foldOf(node)?.(node, inputs);
  return outputs?.every((output) => output !== undefined) ? outputs : undefined;
}
