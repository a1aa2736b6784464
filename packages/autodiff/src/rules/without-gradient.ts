/**
 * Operators without a gradient by nature: their output is an integer or a truth value, depends on the input's shape
 * only, is drawn at random, or is constant between jumps. What a parameter does through them is no part of the
 * gradient.
 */
export const withoutGradient: ReadonlySet<string> = new Set([
  ...['Shape', 'Size', 'ConstantOfShape', 'Constant', 'Range', 'EyeLike', 'NonZero'],
  ...['ArgMax', 'ArgMin', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'IsNaN', 'IsInf'],
  ...['And', 'Or', 'Xor', 'Not', 'BitShift', 'BitwiseAnd', 'BitwiseOr', 'BitwiseXor', 'BitwiseNot'],
  ...['Floor', 'Ceil', 'Round', 'Sign', 'Hardmax', 'NonMaxSuppression', 'Unique'],
  ...['RandomUniform', 'RandomUniformLike', 'RandomNormal', 'RandomNormalLike', 'Bernoulli', 'Multinomial'],
  ...['BlackmanWindow', 'HannWindow', 'HammingWindow', 'MelWeightMatrix'],
  ...[
    'QuantizeLinear',
    'DynamicQuantizeLinear',
    'MatMulInteger',
    'ConvInteger',
    'QLinearMatMul',
    'QLinearConv',
  ],
]);
