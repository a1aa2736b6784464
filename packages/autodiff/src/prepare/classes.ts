import type { Model } from '@murmuration/onnx';
import { readMetadata } from './metadata.ts';

/** The metadata key under which a model with a cross-entropy says what targets may be, as JSON. */
export const classesKey = 'murmuration.classes';

/** The integers that `targets` may hold: from 0 to below `count`, and the one that does not count. */
export interface TargetClasses {
  readonly count: number;
  readonly ignore?: number;
}

const isClasses = (value: unknown): value is TargetClasses => {
  const { count, ignore } = (value ?? {}) as { count?: unknown; ignore?: unknown };
  return (
    Number.isSafeInteger(count) &&
    (count as number) > 0 &&
    (ignore === undefined || Number.isSafeInteger(ignore))
  );
};

/** What a training model's targets may be, if it says so. Throws `AutodiffError` `bad-request`. */
export const classesOf = (model: Model): TargetClasses | undefined =>
  readMetadata(model, { key: classesKey, expected: 'count and ignore', holds: isClasses });
