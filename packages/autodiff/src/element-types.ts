import type { ElementType } from '@murmuration/onnx';

/** Bytes that one element takes. */
export const elementBytes: Readonly<Record<ElementType, number>> = {
  ...{ float64: 8, int64: 8, uint64: 8, float32: 4, int32: 4, uint32: 4 },
  ...{ float16: 2, bfloat16: 2, int16: 2, uint16: 2, int8: 1, uint8: 1, bool: 1 },
};

/** `TensorProto.DataType` of the types that graphs are given casts to. */
export const typeCodes = { float32: 1, int32: 6, int64: 7, bool: 9, float64: 11 } as const;
