import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { StoreError, type StoreErrorCode } from '@murmuration/store';

/** A folder that is gone after the test. */
export function temporaryFolder(test: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'murmuration-store-'));
  test.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Matches a `StoreError` of this code whose message contains each of the words. */
export const storeError =
  (code: StoreErrorCode, ...words: readonly (string | number)[]) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof StoreError, `expected a StoreError, got ${String(error)}`);
    assert.equal(error.code, code, error.message);
    for (const word of words) assert.ok(error.message.includes(String(word)), `${word} in: ${error.message}`);
    return true;
  };
