/** Writes to a store as fast as it can and says what is durable, until it is killed. */
import { writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { nameBlob } from '@murmuration/base';
import { hashBytes, openStore } from '@murmuration/store';

const directory = process.argv[2] as string;
const store = openStore({ directory });
const say = (kind: string, what: string | number): void => {
  writeSync(1, `${kind} ${what}\n`);
};
const stamp = `${process.pid}-${Date.now()}`;
for (let turn = 0; ; turn++) {
  const height = (store.lastHeight() ?? 0) + 1;
  const text = `${stamp}-${turn}`;
  const bytes = new Uint8Array(turn % 7 === 0 ? 300_000 : 20_000).fill(turn);
  bytes.set(new TextEncoder().encode(text));
  const { cid } = nameBlob(bytes, hashBytes);
  await store.putBlob(cid, bytes);
  say('blob', cid);
  store.putRecord({ key: text, height, bytes: new TextEncoder().encode(text) });
  say('record', text);
  store.putEntry({ height, bytes: new TextEncoder().encode(text) });
  say('entry', `${height}=${text}`);
  store.putMetric({ height, name: 'loss', value: height, timeMs: Date.now() });
  say('metric', height);
  if (turn % 5 !== 4) continue;
  const state = nameBlob(bytes.fill(turn, 1), hashBytes);
  const path = join(directory, 'state');
  writeFileSync(path, bytes);
  await store.adoptSnapshot({
    path,
    height,
    tensors: state.cid,
    size: bytes.length,
    chunks: state.manifest.chunks,
  });
  say('snapshot', state.cid);
}
