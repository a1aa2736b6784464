import { OnnxError } from './errors.ts';
import type { Message } from './message.ts';
import type { ElementType, TensorData } from './model.ts';

interface ElementFormat {
  /** `TensorProto.DataType`. */
  readonly code: number;
  readonly bytes: number;
  readonly create: (buffer: ArrayBuffer) => TensorData;
  /** The field that holds the values when there are no raw bytes. */
  readonly field: 'floatData' | 'int32Data' | 'int64Data' | 'doubleData' | 'uint64Data';
}

/** How each element type lies in a TensorProto; raw bytes are little-endian, as is every platform we run on. */
export const elementFormats: Readonly<Record<ElementType, ElementFormat>> = {
  float32: { code: 1, bytes: 4, create: (buffer) => new Float32Array(buffer), field: 'floatData' },
  uint8: { code: 2, bytes: 1, create: (buffer) => new Uint8Array(buffer), field: 'int32Data' },
  int8: { code: 3, bytes: 1, create: (buffer) => new Int8Array(buffer), field: 'int32Data' },
  uint16: { code: 4, bytes: 2, create: (buffer) => new Uint16Array(buffer), field: 'int32Data' },
  int16: { code: 5, bytes: 2, create: (buffer) => new Int16Array(buffer), field: 'int32Data' },
  int32: { code: 6, bytes: 4, create: (buffer) => new Int32Array(buffer), field: 'int32Data' },
  int64: { code: 7, bytes: 8, create: (buffer) => new BigInt64Array(buffer), field: 'int64Data' },
  bool: { code: 9, bytes: 1, create: (buffer) => new Uint8Array(buffer), field: 'int32Data' },
  float16: { code: 10, bytes: 2, create: (buffer) => new Uint16Array(buffer), field: 'int32Data' },
  float64: { code: 11, bytes: 8, create: (buffer) => new Float64Array(buffer), field: 'doubleData' },
  uint32: { code: 12, bytes: 4, create: (buffer) => new Uint32Array(buffer), field: 'uint64Data' },
  uint64: { code: 13, bytes: 8, create: (buffer) => new BigUint64Array(buffer), field: 'uint64Data' },
  bfloat16: { code: 16, bytes: 2, create: (buffer) => new Uint16Array(buffer), field: 'int32Data' },
};

/** The element type of a `TensorProto.DataType`. Throws `OnnxError` `unsupported` for strings, complex and 8-bit floats. */
export function elementTypeOf(code: number, where: string): ElementType {
  const found = Object.entries(elementFormats).find(([, format]) => format.code === code);
  if (!found)
    throw new OnnxError(`${where}: element type ${code} is not supported`, {
      code: 'unsupported',
      elementType: code,
    });
  return found[0] as ElementType;
}

/** Number of values of a shape. */
export const countOf = (shape: readonly number[]): number =>
  shape.reduce((product, dimension) => product * dimension, 1);

/** The values of a TensorProto, copied out of the input. Throws `OnnxError` unless they fill the shape exactly. */
export function readTensorData(
  message: Message,
  type: ElementType,
  shape: readonly number[],
  where: string,
): TensorData {
  const format = elementFormats[type];
  const count = countOf(shape);
  const mismatch = (got: number, unit: string): OnnxError =>
    new OnnxError(`${where}: expected ${count} values of ${type} for shape [${shape}], got ${got} ${unit}`, {
      code: 'malformed',
      shape,
      got,
    });
  const raw = message.rawData as Uint8Array | undefined;
  if (raw) {
    if (raw.length !== count * format.bytes) throw mismatch(raw.length, 'bytes');
    return format.create(new Uint8Array(raw).buffer);
  }
  const values = (message[format.field] ?? []) as readonly (number | bigint)[];
  if (values.length !== count) throw mismatch(values.length, 'values');
  const data = format.create(new ArrayBuffer(count * format.bytes));
  const wide = data instanceof BigInt64Array || data instanceof BigUint64Array;
  values.forEach((value, index) => {
    (data as { [index: number]: number | bigint })[index] = wide ? BigInt(value) : Number(value);
  });
  return data;
}

/** A tensor's bytes as they lie in memory. */
export const rawBytes = (data: TensorData): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
