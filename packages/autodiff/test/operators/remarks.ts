const notTensors = 'values that are no tensors of numbers are not read';

/** What a reader should know about an operator's gradient: limits of its rule, and why there is none. */
export const remarks: Readonly<Record<string, string>> = {
  AffineGrid: 'constant size',
  Attention: 'cached keys and values included',
  BatchNormalization: 'training and inference; running statistics train as averages',
  Col2Im: 'constant block and channels',
  ConcatFromSequence: notTensors,
  ConvTranspose: 'constant kernel; constant sizes with `output_shape`',
  Det: 'matrices of at most 8 rows',
  Dropout: 'its mask is drawn from a seed',
  ImageDecoder: notTensors,
  LayerNormalization: 'no loss on mean and deviation',
  MaxPool: '`storage_order` 0',
  MaxUnpool: 'no `output_shape`',
  NegativeLogLikelihoodLoss: 'class weights are not trained',
  Optional: notTensors,
  OptionalGetElement: notTensors,
  OptionalHasElement: notTensors,
  RegexFullMatch: notTensors,
  Resize: 'constant scales; constant sizes with `cubic` and `antialias`',
  Scan: 'operator sets 9 and later',
  SequenceAt: notTensors,
  SequenceConstruct: notTensors,
  SequenceEmpty: notTensors,
  SequenceErase: notTensors,
  SequenceInsert: notTensors,
  SequenceLength: notTensors,
  SequenceMap: notTensors,
  SoftmaxCrossEntropyLoss: 'class weights are not trained',
  SplitToSequence: notTensors,
  StringConcat: notTensors,
  StringNormalizer: notTensors,
  StringSplit: notTensors,
  TfIdfVectorizer: 'counts words',
};

/** The same about onnxruntime's own operators. */
export const runtimeRemarks: Readonly<Record<string, string>> = {
  Attention: 'no cached keys and values',
  GroupQueryAttention: 'no cache, no rotation inside, no sink',
  MultiHeadAttention: 'separate queries, keys and values; no cache',
};
