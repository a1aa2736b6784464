import { externalBytesMax, modelBytesMax, rankMax, sparseElementsMax } from './defaults.ts';
import { OnnxError } from './errors.ts';
import { checkExternalLocation, type ReadExternal } from './external-data.ts';
import type { Message } from './message.ts';
import type { Tensor } from './model.ts';
import { countOf, elementFormats, elementTypeOf, readTensorData } from './tensor-data.ts';

/** What reading the tensors of one model needs and is allowed. */
export interface TensorReading {
  readonly external: ReadExternal | undefined;
  externalBytes: number;
  sparseElements: number;
  /** Tensors read before: a function's body is read once for every call. */
  readonly known: WeakMap<Message, Tensor>;
}

/** Starts reading tensors with full allowances. */
export const createTensorReading = (external: ReadExternal | undefined): TensorReading => ({
  external,
  externalBytes: externalBytesMax,
  sparseElements: sparseElementsMax,
  known: new WeakMap(),
});

/** A repeated message field. */
export const listOf = (message: Message, name: string): readonly Message[] =>
  (message[name] ?? []) as readonly Message[];

/** A text field; empty when it is absent. */
export const nameOf = (message: Message, field: string): string => (message[field] ?? '') as string;

/** An integer field; 0 when it is absent. Throws `OnnxError` beyond 2^53. */
export function integer(value: unknown, where: string): number {
  const number = Number((value ?? 0n) as bigint);
  if (!Number.isSafeInteger(number))
    throw new OnnxError(`${where}: expected an integer below 2^53, got ${String(value)}`, {
      code: 'unsupported',
    });
  return number;
}

function readShape(message: Message, where: string): readonly number[] {
  const shape = ((message.dims ?? []) as readonly bigint[]).map((dimension) => integer(dimension, where));
  if (shape.length > rankMax || shape.some((dimension) => dimension < 0))
    throw new OnnxError(
      `${where}: expected at most ${rankMax} dimensions, none negative, got [${shape.slice(0, 20)}]`,
      { code: 'malformed' },
    );
  return shape;
}

/** `TensorProto.DataLocation.EXTERNAL`. */
const externalLocation = 1;

/** The bytes of a tensor that lie in another file. */
function readExternalBytes(
  message: Message,
  bytes: number,
  where: string,
  reading: TensorReading,
): Uint8Array {
  const facts = new Map(
    listOf(message, 'externalData').map((entry) => [nameOf(entry, 'key'), nameOf(entry, 'value')]),
  );
  const location = facts.get('location') ?? '';
  checkExternalLocation(location);
  const { external } = reading;
  if (!external)
    throw new OnnxError(`${where}: its data lies in the file ${location}, and no way to read it was given`, {
      code: 'unsupported',
      location,
    });
  const offset = Number(facts.get('offset') ?? 0);
  const length = Number(facts.get('length') ?? bytes);
  if (!Number.isSafeInteger(offset) || offset < 0 || length !== bytes || bytes > modelBytesMax)
    throw new OnnxError(
      `${where}: expected ${bytes} bytes (at most ${modelBytesMax}) of external data, got ${length} at ${offset}`,
      { code: 'malformed', location, offset, length },
    );
  reading.externalBytes -= bytes;
  if (reading.externalBytes < 0)
    throw new OnnxError(`ONNX model: expected at most ${externalBytesMax} bytes of external data`, {
      code: 'too-long',
    });
  const data = external(location, offset, bytes);
  if (data.length !== bytes)
    throw new OnnxError(`${where}: expected ${bytes} bytes of ${location} at ${offset}, got ${data.length}`, {
      code: 'malformed',
      location,
    });
  return data;
}

function readFresh(message: Message, reading: TensorReading): Tensor {
  const name = nameOf(message, 'name');
  const where = `tensor ${JSON.stringify(name)}`;
  const type = elementTypeOf((message.dataType ?? 0) as number, where);
  const shape = readShape(message, where);
  const isExternal = message.dataLocation === externalLocation || message.externalData !== undefined;
  if (!isExternal) return { name, type, shape, data: readTensorData(message, type, shape, where) };
  const bytes = countOf(shape) * elementFormats[type].bytes;
  const rawData = readExternalBytes(message, bytes, where, reading);
  return { name, type, shape, data: readTensorData({ rawData }, type, shape, where) };
}

/** A dense tensor. */
export function readTensor(message: Message, reading: TensorReading): Tensor {
  const known = reading.known.get(message);
  if (known) return known;
  const tensor = readFresh(message, reading);
  reading.known.set(message, tensor);
  return tensor;
}

/** Where in the dense tensor the value of a sparse one lies; −1 for nowhere. */
function positionOf(indices: Tensor, at: number, shape: readonly number[]): number {
  if (indices.shape.length === 1) return Number(indices.data[at]);
  let position = 0;
  for (const [axis, size] of shape.entries()) {
    const index = Number(indices.data[at * shape.length + axis]);
    if (!(index >= 0 && index < size)) return -1;
    position = position * size + index;
  }
  return position;
}

/** A sparse tensor as a dense one. */
export function readSparseTensor(message: Message, reading: TensorReading): Tensor {
  const values = readTensor((message.values ?? {}) as Message, reading);
  const indices = readTensor((message.indices ?? {}) as Message, reading);
  const where = `sparse tensor ${JSON.stringify(values.name)}`;
  const malformed = (expected: string): never => {
    throw new OnnxError(`${where}: expected ${expected}`, { code: 'malformed' });
  };
  const shape = readShape(message, where);
  const count = countOf(shape);
  if (count > reading.sparseElements)
    throw new OnnxError(`${where}: expected at most ${sparseElementsMax} elements in all, got [${shape}]`, {
      code: 'too-long',
    });
  reading.sparseElements -= count;
  const perValue = indices.shape.length === 1 ? 1 : shape.length;
  if (indices.type !== 'int64' || indices.data.length !== perValue * values.data.length)
    malformed(`${perValue} int64 indices for each of ${values.data.length} values`);
  const format = elementFormats[values.type];
  const data = format.create(new ArrayBuffer(count * format.bytes));
  for (const [at, value] of values.data.entries()) {
    const position = positionOf(indices, at, shape);
    if (!(position >= 0 && position < count)) malformed(`indices inside [${shape}]`);
    (data as { [index: number]: number | bigint })[position] = value;
  }
  return { name: values.name, type: values.type, shape, data };
}
