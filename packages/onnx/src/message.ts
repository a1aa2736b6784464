import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { messagesMax, numbersMax } from './defaults.ts';
import { OnnxError } from './errors.ts';
import { type Field, type ScalarType, schema } from './schema.ts';

/** One decoded protobuf message: field name → value (int64 as bigint), or array of values when repeated. */
export type Message = Record<string, unknown>;

/** What is left of the bounds on one model's messages and numbers. */
interface Allowance {
  messages: number;
  numbers: number;
}

const malformed = (message: string): never => {
  throw new OnnxError(`ONNX model: ${message}`, { code: 'malformed' });
};

const wireTypes: Readonly<Record<ScalarType, WireType>> = {
  int64: WireType.Varint,
  int32: WireType.Varint,
  uint64: WireType.Varint,
  float: WireType.Bit32,
  double: WireType.Bit64,
  string: WireType.LengthDelimited,
  bytes: WireType.LengthDelimited,
};

function readScalar(reader: BinaryReader, type: ScalarType): unknown {
  switch (type) {
    case 'int64':
      return BigInt(reader.int64());
    case 'uint64':
      return BigInt(reader.uint64());
    case 'int32':
      return reader.int32();
    case 'float':
      return reader.float();
    case 'double':
      return reader.double();
    case 'string':
      return reader.string();
    case 'bytes':
      return reader.bytes();
  }
}

function readRepeated(
  reader: BinaryReader,
  type: ScalarType,
  wireType: WireType,
  allowance: Allowance,
): unknown[] {
  const packed = wireType === WireType.LengthDelimited && wireTypes[type] !== WireType.LengthDelimited;
  if (!packed) return [readScalar(reader, type)];
  const values: unknown[] = [];
  const inner = new BinaryReader(reader.bytes());
  while (inner.pos < inner.len) {
    allowance.numbers--;
    if (allowance.numbers < 0) malformed(`expected at most ${numbersMax} numbers outside raw data`);
    values.push(readScalar(inner, type));
  }
  return values;
}

function append(message: Message, name: string, values: readonly unknown[]): void {
  const list = (message[name] ?? []) as unknown[];
  for (const value of values) list.push(value);
  message[name] = list;
}

function readField(
  reader: BinaryReader,
  field: Field,
  wireType: WireType,
  into: Message,
  allowance: Allowance,
): void {
  const { name, type, repeated } = field;
  if (type === 'refused')
    throw new OnnxError(`ONNX model: the field ${name} is not supported`, {
      code: 'unsupported',
      field: name,
    });
  if (typeof type === 'object') {
    if (wireType !== WireType.LengthDelimited)
      malformed(`field ${name}: expected a message, got wire type ${wireType}`);
    const value = decode(reader.bytes(), type.message, allowance);
    if (repeated) append(into, name, [value]);
    else into[name] = value;
    return;
  }
  const expected = wireTypes[type];
  const packable = repeated && expected !== WireType.LengthDelimited;
  if (wireType !== expected && !(packable && wireType === WireType.LengthDelimited))
    malformed(`field ${name}: expected wire type ${expected}, got ${wireType}`);
  if (repeated) append(into, name, readRepeated(reader, type, wireType, allowance));
  else into[name] = readScalar(reader, type);
}

function decode(bytes: Uint8Array, type: string, allowance: Allowance): Message {
  allowance.messages--;
  if (allowance.messages < 0) malformed(`expected at most ${messagesMax} messages`);
  const fields = schema[type] ?? {};
  const reader = new BinaryReader(bytes);
  const message: Message = {};
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = fields[number];
    if (field) readField(reader, field, wireType, message, allowance);
    else if (wireType === WireType.StartGroup || wireType === WireType.EndGroup)
      malformed('expected no protobuf groups');
    else reader.skip(wireType, number);
  }
  return message;
}

/**
 * Decodes a `Model` message. Byte fields are views into `bytes`; everything else is bounded by `messagesMax` and
 * `numbersMax`. Throws `OnnxError`.
 */
export function decodeModel(bytes: Uint8Array): Message {
  try {
    return decode(bytes, 'Model', { messages: messagesMax, numbers: numbersMax });
  } catch (cause) {
    if (cause instanceof OnnxError) throw cause;
    throw new OnnxError(
      `ONNX model: expected protobuf, got ${bytes.length} bytes that are not: ${(cause as Error).message}`,
      { code: 'malformed', length: bytes.length },
      { cause },
    );
  }
}

function writeScalar(writer: BinaryWriter, type: ScalarType, value: unknown): void {
  switch (type) {
    case 'int64':
      writer.int64(value as bigint);
      return;
    case 'uint64':
      writer.uint64(value as bigint);
      return;
    case 'int32':
      writer.int32(value as number);
      return;
    case 'float':
      writer.float(value as number);
      return;
    case 'double':
      writer.double(value as number);
      return;
    case 'string':
      writer.string(value as string);
      return;
    case 'bytes':
      writer.bytes(value as Uint8Array);
  }
}

function encodeInto(writer: BinaryWriter, type: string, message: Message): void {
  for (const [key, field] of Object.entries(schema[type] ?? {})) {
    const value = message[field.name];
    const number = Number(key);
    if (value === undefined || field.type === 'refused') continue;
    const values = field.repeated ? (value as readonly unknown[]) : [value];
    for (const item of values) {
      if (typeof field.type === 'object') {
        writer.tag(number, WireType.LengthDelimited).fork();
        encodeInto(writer, field.type.message, item as Message);
        writer.join();
      } else {
        writer.tag(number, wireTypes[field.type]);
        writeScalar(writer, field.type, item);
      }
    }
  }
}

/** Encodes a `Model` message; fields in the order of their numbers, so equal models give equal bytes. */
export function encodeModel(message: Message): Uint8Array {
  const writer = new BinaryWriter();
  encodeInto(writer, 'Model', message);
  return writer.finish();
}
