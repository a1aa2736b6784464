import assert from 'node:assert/strict';
import { DataError } from '../src/index.ts';

/** The code of the `DataError` that a call throws, or `none`. */
export function errorCode(call: () => unknown): string {
  try {
    call();
    return 'none';
  } catch (error) {
    assert.ok(error instanceof DataError, String(error));
    return error.code;
  }
}
