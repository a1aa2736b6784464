/** Writes the wire fixture anew. A change of these bytes changes PROTOCOL.md and the version in the same commit. */
import { writeFileSync } from 'node:fs';
import { wireFixture } from '../packages/protocol/test/wire-fixture.ts';

const target = new URL('../packages/protocol/test/fixtures/wire-1.json', import.meta.url);
writeFileSync(target, `${JSON.stringify(wireFixture(), null, 2)}\n`);
