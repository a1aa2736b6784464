import { rankMax } from '../defaults.ts';
import { multiplyDimensions, unknown } from '../dimension.ts';
import type { ShapeRule } from '../infer-shapes.ts';
import { type Dimension, intOf } from '../model.ts';
import { elementTypeOf } from '../tensor-data.ts';

const shapeOf: ShapeRule = ({ node, inputs }) => {
  const shape = inputs[0]?.shape;
  if (!shape) return [{ type: 'int64' }];
  const start = intOf(node, 'start', 0);
  const end = node.attributes.end ? intOf(node, 'end', shape.length) : shape.length;
  const elements = shape.slice(start, end);
  return [{ type: 'int64', shape: [elements.length], elements }];
};

const size: ShapeRule = ({ inputs }) => {
  const shape = inputs[0]?.shape;
  return [{ type: 'int64', shape: [], elements: shape && [multiplyDimensions(shape)] }];
};

const constantOfShape: ShapeRule = ({ node, inputs }) => {
  const value = node.attributes.value;
  const rank = inputs[0]?.shape?.[0];
  const unknowns: readonly Dimension[] | undefined =
    typeof rank === 'number' && rank <= rankMax ? Array.from({ length: rank }, () => unknown) : undefined;
  return [
    { type: value?.kind === 'tensor' ? value.value.type : 'float32', shape: inputs[0]?.elements ?? unknowns },
  ];
};

const range: ShapeRule = ({ inputs }) => {
  const [start, limit, step] = inputs.map((input) => input?.elements?.[0]);
  const type = inputs[0]?.type ?? 'int64';
  if (start === 0 && step === 1 && limit !== undefined) return [{ type, shape: [limit] }];
  const numeric =
    typeof start === 'number' && typeof limit === 'number' && typeof step === 'number' && step !== 0;
  return [{ type, shape: [numeric ? Math.max(0, Math.ceil((limit - start) / step)) : unknown] }];
};

const cast: ShapeRule = ({ node, inputs, where }) => {
  const type = elementTypeOf(intOf(node, 'to', 1), where);
  const integers = type === 'int64' || type === 'int32';
  return [{ type, shape: inputs[0]?.shape, elements: integers ? inputs[0]?.elements : undefined }];
};

/** Operators that make shapes, or values from shapes. */
export const shapeValueRules: Readonly<Record<string, ShapeRule>> = {
  Shape: shapeOf,
  Size: size,
  ConstantOfShape: constantOfShape,
  Range: range,
  Cast: cast,
};
