import { closeSync, fstatSync, openSync, readFileSync, readSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { checkExternalLocation, type Model, readModel } from '@murmuration/onnx';
import { diskError, EngineError } from './errors.ts';

/** Reads a part of a file that the model names, from the model's own folder and nowhere else. */
function readExternal(folder: string, location: string, offset: number, length: number): Uint8Array {
  checkExternalLocation(location);
  const path = resolve(folder, location);
  let file: number | undefined;
  try {
    const real = realpathSync(path);
    if (!real.startsWith(realpathSync(folder) + sep))
      throw new EngineError(
        `external data ${location}: expected a file inside the model's folder, got ${real}`,
        {
          code: 'bad-graph',
          location,
        },
      );
    if (!statSync(real).isFile())
      throw new EngineError(`external data ${location}: expected a file, got a folder, pipe or device`, {
        code: 'bad-graph',
        location,
      });
    file = openSync(real, 'r');
    const { size } = fstatSync(file);
    if (offset + length > size)
      throw new EngineError(
        `external data ${location}: expected ${length} bytes at ${offset}, the file has ${size}`,
        { code: 'bad-graph', location, size },
      );
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      const read = readSync(file, bytes, at, length - at, offset + at);
      if (read === 0) break;
      at += read;
    }
    return bytes;
  } catch (error) {
    throw error instanceof EngineError ? error : diskError(error, 'read', path);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/**
 * Reads an ONNX file, with weights that lie beside it in its folder; a location that leaves the folder, also by a
 * symbolic link, and what is no file (reading a pipe would wait for ever) are refused. Throws `EngineError` `disk` or
 * `bad-graph`, `OnnxError`.
 */
export function readModelFile(path: string): Model {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw diskError(error, 'read', path);
  }
  const folder = dirname(resolve(path));
  return readModel(bytes, {
    external: (location, offset, length) => readExternal(folder, location, offset, length),
  });
}
