import type { Model } from '@murmuration/onnx';
import { AutodiffError } from '../errors.ts';

/** What an entry of a model's metadata must be; it may come from anywhere. */
export interface MetadataFormat<T> {
  readonly key: string;
  /** In words, for the error. */
  readonly expected: string;
  readonly holds: (value: unknown) => value is T;
}

/** A metadata entry as JSON, if there is one. Throws `AutodiffError` `bad-request` when it is something else. */
export function readMetadata<T>(model: Model, { key, expected, holds }: MetadataFormat<T>): T | undefined {
  const json = model.metadata[key];
  if (json === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    value = undefined;
  }
  if (holds(value)) return value;
  throw new AutodiffError(`metadata ${key}: expected ${expected} as JSON, got ${json.slice(0, 60)}`, {
    code: 'bad-request',
    key,
  });
}

/** Whether a value is an object with text under the named keys. */
export const hasTexts = <Key extends string>(
  value: unknown,
  ...keys: readonly Key[]
): value is Record<Key, string> =>
  typeof value === 'object' &&
  value !== null &&
  keys.every((key) => typeof (value as Record<string, unknown>)[key] === 'string');
