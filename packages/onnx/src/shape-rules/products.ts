import { broadcastShapes, unifyDimensions, unknown } from '../dimension.ts';
import { type Dimension, intOf, textOf } from '../model.ts';
import { elementTypeOf } from '../tensor-data.ts';
import { refuse, requireRank, type ShapeContext, type ShapeRule, type ShapeRules, typeOf } from './rule.ts';

/** The last two dimensions, swapped if asked to. */
const matrix = (shape: readonly Dimension[], transposed: boolean): readonly Dimension[] =>
  transposed ? shape.slice(-2).toReversed() : shape.slice(-2);

/** The first dimension moved before the last one: what `transBatchA` undoes. */
const unbatched = (shape: readonly Dimension[], batchLast: boolean): readonly Dimension[] =>
  batchLast && shape.length > 2
    ? [...shape.slice(1, -1), shape[0] ?? unknown, shape.at(-1) ?? unknown]
    : shape;

const product: ShapeRule = (context) => {
  const { node, inputs, where } = context;
  const [a, b] = inputs;
  const type = node.operator.endsWith('Integer') ? 'int32' : typeOf(context);
  if (!a?.shape || !b?.shape) return [{ type }];
  if (a.shape.length === 0 || b.shape.length === 0)
    refuse(context, 'expected at least one dimension, got a scalar');
  const left = unbatched(
    a.shape.length === 1 ? [1, ...a.shape] : a.shape,
    intOf(node, 'transBatchA', 0) === 1,
  );
  const right = unbatched(
    b.shape.length === 1 ? [...b.shape, 1] : b.shape,
    intOf(node, 'transBatchB', 0) === 1,
  );
  const [rows, innerLeft] = matrix(left, intOf(node, 'transA', 0) === 1);
  const [innerRight, columns] = matrix(right, intOf(node, 'transB', 0) === 1);
  if (innerLeft === undefined || innerRight === undefined || rows === undefined || columns === undefined)
    return [{ type }];
  unifyDimensions(innerLeft, innerRight, `${where}: inner dimensions`);
  const batch = broadcastShapes([left.slice(0, -2), right.slice(0, -2), []], where);
  const shape = [
    ...batch,
    ...(a.shape.length === 1 ? [] : [rows]),
    ...(b.shape.length === 1 ? [] : [columns]),
  ];
  return [{ type, shape }];
};

const gemm: ShapeRule = (context) => {
  const { inputs, where } = context;
  for (const input of inputs.slice(0, 2)) requireRank(context, input?.shape, 2, 2);
  const [result] = product(context);
  if (result?.shape && inputs[2]?.shape) broadcastShapes([result.shape, inputs[2].shape], where);
  return result ? [result] : [];
};

const quantizedProduct: ShapeRule = (context) => {
  const [result] = product({ ...context, inputs: [context.inputs[0], context.inputs[3]] });
  return [{ type: typeOf(context, 7), shape: result?.shape }];
};

const determinant: ShapeRule = (context) => {
  const shape = context.inputs[0]?.shape;
  requireRank(context, shape, 2);
  return [{ type: typeOf(context), shape: shape?.slice(0, -2) }];
};

/** The labels of one operand, an ellipsis written out as `0`, `1`, … counted from its last dimension. */
function labelsOf(context: ShapeContext, term: string, rank: number): readonly string[] {
  const [before = '', after] = term.split('...');
  if (after === undefined) return [...before];
  const count = rank - before.length - after.length;
  if (count < 0) refuse(context, `expected at least ${before.length + after.length} dimensions for ${term}`);
  return [...before, ...Array.from({ length: count }, (_, index) => String(count - 1 - index)), ...after];
}

function implicitOutput(labels: readonly (readonly string[])[]): readonly string[] {
  const all = labels.flat();
  const letters = [...new Set(all.filter((label) => !/\d/.test(label)))];
  const wide = labels.map((each) => each.filter((label) => /\d/.test(label)));
  const longest = wide.reduce((left, right) => (right.length > left.length ? right : left), []);
  return [...longest, ...letters.filter((letter) => all.indexOf(letter) === all.lastIndexOf(letter)).sort()];
}

const einsum: ShapeRule = (context) => {
  const { node, inputs, where } = context;
  const type = typeOf(context);
  const [left = '', right] = textOf(node, 'equation', '').replaceAll(/\s/g, '').split('->');
  const terms = left.split(',');
  if (terms.length !== inputs.length)
    refuse(context, `expected ${terms.length} inputs for ${left}, got ${inputs.length}`);
  const shapes = inputs.map((input) => input?.shape);
  if (!shapes.every((shape) => shape !== undefined)) return [{ type }];
  const labels = shapes.map((shape, index) => labelsOf(context, terms[index] ?? '', shape.length));
  const sizes = new Map<string, Dimension>();
  labels.forEach((list, operand) => {
    const shape = shapes[operand] ?? [];
    if (list.length !== shape.length)
      refuse(context, `expected ${list.length} dimensions for ${terms[operand]}`);
    list.forEach((label, axis) => {
      const size = shape[axis] ?? unknown;
      const known = sizes.get(label);
      sizes.set(
        label,
        known === undefined || known === 1 ? size : size === 1 ? known : unifyDimensions(known, size, where),
      );
    });
  });
  const wide = Math.max(0, ...labels.map((list) => list.filter((label) => /\d/.test(label)).length));
  const bare = right?.replace('...', '').length ?? 0;
  const output = right === undefined ? implicitOutput(labels) : labelsOf(context, right, bare + wide);
  return [{ type, shape: output.map((label) => sizes.get(label) ?? unknown) }];
};

const quantize: ShapeRule = ({ node, inputs, where }) => {
  const declared = intOf(node, 'output_dtype', 0);
  const type = declared === 0 ? 'uint8' : elementTypeOf(declared, where);
  return [{ type: inputs[2]?.type ?? type, shape: inputs[0]?.shape }];
};
const dequantize: ShapeRule = ({ inputs }) => [
  { type: inputs[1]?.type ?? 'float32', shape: inputs[0]?.shape },
];
const dynamicQuantize: ShapeRule = ({ inputs }) => [
  { type: 'uint8', shape: inputs[0]?.shape },
  { type: 'float32', shape: [] },
  { type: 'uint8', shape: [] },
];

/** Products of matrices and tensors, and conversions to and from quantized ones. */
export const productRules: ShapeRules = {
  MatMul: product,
  MatMulInteger: product,
  QLinearMatMul: quantizedProduct,
  Gemm: gemm,
  Einsum: einsum,
  Det: determinant,
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  DynamicQuantizeLinear: dynamicQuantize,
};

/** The same for onnxruntime's own operators. */
export const microsoftProductRules: ShapeRules = {
  FusedMatMul: product,
  TransposeMatMul: product,
  FusedGemm: gemm,
};
