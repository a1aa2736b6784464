/**
 * A worker that runs tasks of the suite on changed production sources: `workerData` are the changes. Each must fit
 * exactly one place of a file that is loaded, or the worker fails.
 */
import { registerHooks } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { Patch, Task } from '@murmuration/simulator';

const patches = workerData as readonly Patch[];
const urlOf = ({ file }: Patch): string => new URL(`../packages/${file}`, import.meta.url).href;
const applied = new Set<Patch>();

function change(source: string, patch: Patch): string {
  const { file, find, replace } = patch;
  const places = source.split(find).length - 1;
  if (places !== 1)
    throw new Error(`${file}: expected one place with ${JSON.stringify(find)}, got ${places}`);
  applied.add(patch);
  return source.replace(find, () => replace);
}

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const own = patches.filter((patch) => urlOf(patch) === url);
    if (own.length === 0) return loaded;
    const { source } = loaded;
    const text = typeof source === 'string' ? source : new TextDecoder().decode(source);
    return { ...loaded, source: own.reduce(change, text) };
  },
});

const { runTask } = await import('@murmuration/simulator');
for (const patch of patches)
  if (!applied.has(patch)) throw new Error(`${patch.file}: expected it to be loaded by the simulator`);
parentPort?.on('message', (task: Task) => parentPort?.postMessage(runTask(task)));
