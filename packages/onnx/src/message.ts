import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { graphDepthMax, listedMax, messagesMax, nameCharactersMax } from './defaults.ts';
import { OnnxError } from './errors.ts';
import { type Field, type ScalarType, schema } from './schema.ts';

/** One decoded protobuf message: field name → value (int64 as bigint), or array of values when repeated. */
export type Message = Record<string, unknown>;

/** What is left of the bounds on one model's messages, values in lists and nested graphs. */
interface Allowance {
  messages: number;
  graphs: number;
  listed: number;
}

const malformed = (message: string): never => {
  throw new OnnxError(`ONNX model: ${message}`, { code: 'malformed' });
};

/** How a scalar lies on the wire. */
interface ScalarFormat {
  readonly wireType: WireType;
  readonly read: (reader: BinaryReader) => unknown;
  readonly write: (writer: BinaryWriter, value: unknown) => void;
}

const scalarFormats: Readonly<Record<ScalarType, ScalarFormat>> = {
  int64: {
    wireType: WireType.Varint,
    read: (reader) => BigInt(reader.int64()),
    write: (writer, value) => writer.int64(value as bigint),
  },
  uint64: {
    wireType: WireType.Varint,
    read: (reader) => BigInt(reader.uint64()),
    write: (writer, value) => writer.uint64(value as bigint),
  },
  int32: {
    wireType: WireType.Varint,
    read: (reader) => reader.int32(),
    write: (writer, value) => writer.int32(value as number),
  },
  float: {
    wireType: WireType.Bit32,
    read: (reader) => reader.float(),
    write: (writer, value) => writer.float(value as number),
  },
  double: {
    wireType: WireType.Bit64,
    read: (reader) => reader.double(),
    write: (writer, value) => writer.double(value as number),
  },
  string: {
    wireType: WireType.LengthDelimited,
    read: (reader) => reader.string(),
    write: (writer, value) => writer.string(value as string),
  },
  name: {
    wireType: WireType.LengthDelimited,
    read: (reader) => {
      const name = reader.string();
      if (name.length > nameCharactersMax)
        malformed(`expected names of at most ${nameCharactersMax} characters, got ${name.length}`);
      return name;
    },
    write: (writer, value) => writer.string(value as string),
  },
  bytes: {
    wireType: WireType.LengthDelimited,
    read: (reader) => reader.bytes(),
    write: (writer, value) => writer.bytes(value as Uint8Array),
  },
};

/** The values of one occurrence of a repeated field: one, or a packed list of numbers. */
function readRepeated(
  reader: BinaryReader,
  format: ScalarFormat,
  wireType: WireType,
  allowance: Allowance,
): unknown[] {
  const readNext = (from: BinaryReader): unknown => {
    allowance.listed--;
    if (allowance.listed < 0) malformed(`expected at most ${listedMax} values in lists outside raw data`);
    return format.read(from);
  };
  if (wireType === format.wireType) return [readNext(reader)];
  const values: unknown[] = [];
  const inner = new BinaryReader(reader.bytes());
  while (inner.pos < inner.len) values.push(readNext(inner));
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
    const nesting = type.message === 'Graph' ? 1 : 0;
    allowance.graphs -= nesting;
    if (allowance.graphs < 0) malformed(`expected at most ${graphDepthMax} graphs inside each other`);
    const value = decode(reader.bytes(), type.message, allowance);
    allowance.graphs += nesting;
    if (repeated) append(into, name, [value]);
    else into[name] = value;
    return;
  }
  const format = scalarFormats[type];
  const isPacked = repeated && wireType === WireType.LengthDelimited;
  if (wireType !== format.wireType && !isPacked)
    malformed(`field ${name}: expected wire type ${format.wireType}, got ${wireType}`);
  if (repeated) append(into, name, readRepeated(reader, format, wireType, allowance));
  else into[name] = format.read(reader);
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
 * `listedMax`. Throws `OnnxError`.
 */
export function decodeModel(
  bytes: Uint8Array,
  allowance: Allowance = { messages: messagesMax, graphs: graphDepthMax, listed: listedMax },
): Message {
  try {
    return decode(bytes, 'Model', allowance);
  } catch (cause) {
    if (cause instanceof OnnxError) throw cause;
    throw new OnnxError(
      `ONNX model: expected protobuf, got ${bytes.length} bytes that are not: ${(cause as Error).message}`,
      { code: 'malformed', length: bytes.length },
      { cause },
    );
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
        const { wireType, write } = scalarFormats[field.type];
        write(writer.tag(number, wireType), item);
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
