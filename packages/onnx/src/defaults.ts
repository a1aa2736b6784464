import { GiB } from '@murmuration/base';

/** Protobuf's own limit on one message. */
export const modelBytesMax: number = 2 * GiB - 1;

/** Messages (nodes, attributes, dimensions, …) in one model: a transformer of 100 layers has about 50,000. */
export const messagesMax = 1_000_000;

/** Values in the repeated number fields of one model; weights belong into raw bytes, which do not count. */
export const numbersMax = 50_000_000;

/** Dimensions of one tensor; real models stay below 8. */
export const rankMax = 16;

/** Version of the operator set that built models use; onnxruntime has CPU kernels for all of it. */
export const opsetVersion = 20;

/** IR version that goes with opset 20 (ONNX 1.15). */
export const irVersion = 9;

/** Version of onnxruntime's own operators. */
export const microsoftVersion = 1;

/** Standard deviation of the first weights (Radford et al. 2019). */
export const initialDeviation = 0.02;

/** Bounds on gpt's settings: large enough for billions of parameters, small enough to fail early. */
export const gptBounds = {
  vocabulary: 1_000_000,
  context: 65_536,
  width: 65_536,
  layers: 1_000,
  heads: 1_024,
} as const;

/** Shape inference follows the elements of integer tensors up to this length: shapes, axes, indices. */
export const inferenceElementsMax = 64;

/** Symbols in one symbolic dimension; a product of more is unknown, so that a graph cannot grow names without end. */
export const symbolsMax = 8;
