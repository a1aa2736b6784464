import type { TestContext } from 'node:test';
import { Conduct } from '../src/conduct.ts';
import { defaultLimits } from '../src/defaults.ts';
import type { ServeComponents } from '../src/serve.ts';

/** What a handler needs, for a test that serves on a bare node. */
export function serving(t: TestContext): ServeComponents {
  const stopping = new AbortController();
  t.after(() => stopping.abort());
  const conduct = new Conduct(
    defaultLimits,
    () => undefined,
    () => performance.now(),
  );
  return { conduct, limits: defaultLimits, signal: stopping.signal };
}
