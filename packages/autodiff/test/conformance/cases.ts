/** ONNX's official single-operator models with float inputs, and the inputs and outputs stored with them. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { ElementType, Tensor, TensorData } from '@murmuration/onnx';

/** One model. `tolerance` is relative, then absolute. */
export interface ConformanceCase {
  readonly name: string;
  readonly operator: string;
  readonly opset: number;
  readonly model: Uint8Array;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly tolerance: readonly [number, number];
}

type Place = readonly [number, number];

interface StoredTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly at: Place;
}

interface StoredCase {
  readonly name: string;
  readonly operator: string;
  readonly opset: number;
  readonly model: Place;
  readonly inputs: readonly StoredTensor[];
  readonly outputs: readonly StoredTensor[];
  readonly tolerance: readonly [number, number];
}

const create: Readonly<Record<ElementType, (buffer: ArrayBuffer) => TensorData>> = {
  float32: (buffer) => new Float32Array(buffer),
  float64: (buffer) => new Float64Array(buffer),
  float16: (buffer) => new Uint16Array(buffer),
  bfloat16: (buffer) => new Uint16Array(buffer),
  int8: (buffer) => new Int8Array(buffer),
  int16: (buffer) => new Int16Array(buffer),
  int32: (buffer) => new Int32Array(buffer),
  int64: (buffer) => new BigInt64Array(buffer),
  uint8: (buffer) => new Uint8Array(buffer),
  uint16: (buffer) => new Uint16Array(buffer),
  uint32: (buffer) => new Uint32Array(buffer),
  uint64: (buffer) => new BigUint64Array(buffer),
  bool: (buffer) => new Uint8Array(buffer),
};

/** Reads what scripts/conformance-fixture.py wrote: the length of a JSON text, the text, the bytes that it names. */
export function readCases(): readonly ConformanceCase[] {
  const bytes = new Uint8Array(gunzipSync(readFileSync(new URL('fixtures/models.bin', import.meta.url))));
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const { cases } = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))) as {
    readonly cases: readonly StoredCase[];
  };
  const part = ([offset, size]: Place): Uint8Array<ArrayBuffer> =>
    bytes.slice(4 + length + offset, 4 + length + offset + size);
  const tensor = ({ name, type, shape, at }: StoredTensor): Tensor => ({
    name,
    type,
    shape,
    data: create[type](part(at).buffer),
  });
  return cases.map((stored) => ({
    ...stored,
    model: part(stored.model),
    inputs: stored.inputs.map(tensor),
    outputs: stored.outputs.map(tensor),
  }));
}

/** The cases of each operator, operators in alphabetical order. */
export function casesByOperator(): ReadonlyMap<string, readonly ConformanceCase[]> {
  const groups = Map.groupBy(readCases(), ({ operator }) => operator);
  return new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1)));
}
