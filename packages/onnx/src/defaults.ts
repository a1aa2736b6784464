import { GiB, MiB } from '@murmuration/base';

/** Protobuf's own limit on one message. */
export const modelBytesMax: number = 2 * GiB - 1;

/** Messages (nodes, attributes, dimensions, …) in one model: a transformer of 100 layers has about 50,000. */
export const messagesMax = 1_000_000;

/** Graphs inside attributes of graphs: real models nest two or three. */
export const graphDepthMax = 16;

/** Numbers and texts in the lists of one model; weights belong into raw bytes, which do not count. */
export const listedMax = 50_000_000;

/** Characters of a name; a name that is written once can be meant by every node. Exporters stay below 500. */
export const nameCharactersMax = 4_096;

/** Dimensions of one tensor; real models stay below 8. */
export const rankMax = 16;

/** Opset of the default domain to which every model is brought, so that rules and passes know one form. */
export const canonicalOpset = 23;

/** IR version that goes with opset 23 (ONNX 1.18). */
export const canonicalIrVersion = 11;

/** The oldest opset that can be upgraded: the first without the `axis` and `broadcast` attributes of arithmetic. */
export const oldestOpset = 7;

/** Characters of a given name that a new one starts with: a long name in a bomb of copies must not multiply. */
export const nameStemMax = 200;

/** Calls of local functions inside each other: exporters nest as modules do, about 10 deep. */
export const functionDepthMax = 32;

/** Nodes, inputs, outputs and attributes that the calls of local functions may bring into one model. */
export const inlinedValuesMax = 300_000;

/** Elements of all sparse tensors of one model, which become dense ones. */
export const sparseElementsMax = 64 * 1_048_576;

/** Bytes that one model may read from outside, counted as often as they are read. */
export const externalBytesMax: number = 16 * GiB;

/** Characters of the name of a file with external data. */
export const externalLocationMax = 1_024;

/** Elements of one constant that is computed ahead: a mask of 256 × 256. */
export const foldedElementsMax = 65_536;

/** Elements that computing the constants of one model may read and write: a few seconds. */
export const foldedTotalMax = 16 * 1_048_576;

/** Nodes, inputs and outputs that unrolling the loops of one model may add; a loop that needs more stays a loop. */
export const unrolledValuesMax = 100_000;

/** Times that a model is simplified with what shape inference learned from the time before; real models need three. */
export const simplifyRoundsMax = 32;

/** Characters of the texts by which equal nodes of a model are found: 100,000 nodes have about 30 million. */
export const expressionCharactersMax: number = 128 * MiB;

/** Elements of a constant up to which equal ones become one. */
export const mergedElementsMax = 1_024;

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

/** Symbols in one product of a symbolic dimension; more is unknown, so that a graph cannot grow names without end. */
export const symbolsMax = 8;

/** Products in the sum that a symbolic dimension is; for the same reason. */
export const termsMax = 8;

/** Characters of a symbolic dimension; for the same reason. */
export const dimensionTextMax = 256;

/**
 * The newest opset of which onnxruntime 1.30 has a CPU kernel of every operator in use. From it to `canonicalOpset` no
 * operator changed its meaning.
 */
export const completeOpset = 21;
