import { gunzipSync } from 'node:zlib';
import type { ElementType, Tensor, TensorData } from '@murmuration/onnx';

const types: Readonly<Record<string, readonly [ElementType, (bytes: ArrayBuffer) => TensorData]>> = {
  F32: ['float32', (bytes) => new Float32Array(bytes)],
  F64: ['float64', (bytes) => new Float64Array(bytes)],
  I64: ['int64', (bytes) => new BigInt64Array(bytes)],
  I32: ['int32', (bytes) => new Int32Array(bytes)],
  BOOL: ['bool', (bytes) => new Uint8Array(bytes)],
};

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** The tensors of a gzipped safetensors file by name. */
export function readSafetensors(gzipped: Uint8Array): ReadonlyMap<string, Tensor> {
  const bytes = gunzipSync(gzipped);
  const headerEnd = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, headerEnd)) as Readonly<Record<string, Entry>>;
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [start, end],
        },
      ]) => {
        const known = types[dtype];
        if (!known) throw new Error(`tensor ${name}: expected one of ${Object.keys(types)}, got ${dtype}`);
        const data = known[1](Uint8Array.from(bytes.subarray(headerEnd + start, headerEnd + end)).buffer);
        return [name, { name, type: known[0], shape, data }];
      },
    ),
  );
}
