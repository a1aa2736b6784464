import {
  ceilDivideDimension,
  isAtLeast,
  multiplyDimensions,
  subtractDimensions,
  unknown,
} from '../dimension.ts';
import { type Dimension, type ElementType, float32Tensor, int64Tensor, intOf, intsOf } from '../model.ts';
import { elementTypeOf } from '../tensor-data.ts';
import { castElements } from './elements.ts';
import {
  knownTensor,
  numbersOf,
  refuse,
  type ShapeContext,
  type ShapeRule,
  type ShapeRules,
  shapeFrom,
  smallCount,
  typeOf,
} from './rule.ts';

const constant: ShapeRule = ({ node }) => {
  const [attribute] = Object.values(node.attributes);
  switch (attribute?.kind) {
    case 'tensor':
      return [knownTensor(attribute.value)];
    case 'int':
      return [knownTensor(int64Tensor('', [attribute.value], []))];
    case 'ints':
      return [knownTensor(int64Tensor('', attribute.value))];
    case 'float':
      return [knownTensor(float32Tensor('', [attribute.value], []))];
    case 'floats':
      return [knownTensor(float32Tensor('', attribute.value))];
    default:
      return [{ type: 'float32' }];
  }
};

const shapeOf: ShapeRule = ({ node, inputs }) => {
  const shape = inputs[0]?.shape;
  if (!shape) return [{ type: 'int64' }];
  const start = intOf(node, 'start', 0);
  const end = intOf(node, 'end', shape.length);
  const elements = shape.slice(start, end);
  return [{ type: 'int64', shape: [elements.length], elements }];
};

const size: ShapeRule = ({ inputs }) => {
  const shape = inputs[0]?.shape;
  return [{ type: 'int64', shape: [], elements: shape && [multiplyDimensions(shape)] }];
};

const constantOfShape: ShapeRule = (context) => {
  const shape = shapeFrom(context.inputs[0]);
  if (shape?.some((each) => typeof each === 'number' && each < 0))
    refuse(context, `expected sizes of at least 0, got [${shape}]`);
  const { value } = context.node.attributes;
  const fill =
    value?.kind === 'tensor' ? knownTensor(value.value) : { type: 'float32' as const, elements: [0] };
  const count = smallCount(shape);
  const element = fill.elements?.[0];
  return [
    {
      type: fill.type,
      shape,
      elements:
        count === undefined || element === undefined
          ? undefined
          : Array.from({ length: count }, () => element),
    },
  ];
};

/** How many steps lead from a start to below a limit. */
function stepsBetween(start: Dimension, limit: Dimension, step: Dimension): Dimension {
  if (typeof step !== 'number' || step === 0) return unknown;
  if (typeof start === 'number' && typeof limit === 'number')
    return Math.max(0, Math.ceil((limit - start) / step));
  const length = step > 0 ? subtractDimensions(limit, start) : subtractDimensions(start, limit);
  return isAtLeast(length, 0) || start === 0 ? ceilDivideDimension(length, Math.abs(step)) : unknown;
}

const range: ShapeRule = (context) => {
  const [start, limit, step] = context.inputs.map((input) => input?.elements?.[0] ?? unknown);
  const length = stepsBetween(start ?? unknown, limit ?? unknown, step ?? unknown);
  const count = smallCount([length]);
  const [first, each] = [Number(start), Number(step)];
  const elements =
    count === undefined || !typeOf(context).startsWith('int') || Number.isNaN(first + each)
      ? undefined
      : Array.from({ length: count }, (_, index) => first + index * each);
  return [{ type: typeOf(context), shape: [length], elements }];
};

const cast: ShapeRule = ({ node, inputs, where }) => {
  const type = elementTypeOf(intOf(node, 'to', 1), where);
  return [{ type, shape: inputs[0]?.shape, elements: castElements(inputs[0]?.elements, type) }];
};

const castLike: ShapeRule = (context) => {
  const type = typeOf(context, 1);
  const [x] = context.inputs;
  return [{ type, shape: x?.shape, elements: castElements(x?.elements, type) }];
};

function declaredType({ node, where }: ShapeContext, otherwise: ElementType, name = 'dtype'): ElementType {
  const { [name]: declared } = node.attributes;
  return declared?.kind === 'int' ? elementTypeOf(declared.value, where) : otherwise;
}

/** Random numbers of a shape given by an attribute. */
const drawn: ShapeRule = (context) => [
  { type: declaredType(context, 'float32'), shape: intsOf(context.node, 'shape') },
];

/** Of the first input's shape, and its type unless another is declared. */
const like: ShapeRule = (context) => [
  { type: declaredType(context, typeOf(context)), shape: context.inputs[0]?.shape },
];

const multinomial: ShapeRule = (context) => [
  {
    type: declaredType(context, 'int32'),
    shape: [context.inputs[0]?.shape?.[0] ?? unknown, intOf(context.node, 'sample_size', 1)],
  },
];

const window: ShapeRule = (context) => [
  {
    type: declaredType(context, 'float32', 'output_datatype'),
    shape: [context.inputs[0]?.elements?.[0] ?? unknown],
  },
];

const melWeights: ShapeRule = (context) => {
  const [bins, length] = context.inputs.map((input) => numbersOf(input)?.[0]);
  return [
    {
      type: declaredType(context, 'float32', 'output_datatype'),
      shape: [length === undefined ? unknown : Math.floor(length / 2) + 1, bins ?? unknown],
    },
  ];
};

const scalarOf =
  (type: ElementType): ShapeRule =>
  () => [{ type, shape: [] }];

/** Operators that make shapes, values from shapes, constants and random numbers, or change the element type. */
export const makingRules: ShapeRules = {
  Constant: constant,
  Shape: shapeOf,
  Size: size,
  ConstantOfShape: constantOfShape,
  Range: range,
  Cast: cast,
  CastLike: castLike,
  RandomNormal: drawn,
  RandomUniform: drawn,
  RandomNormalLike: like,
  RandomUniformLike: like,
  Bernoulli: like,
  EyeLike: like,
  Multinomial: multinomial,
  HannWindow: window,
  HammingWindow: window,
  BlackmanWindow: window,
  MelWeightMatrix: melWeights,
  SequenceLength: scalarOf('int64'),
  OptionalHasElement: scalarOf('bool'),
};
