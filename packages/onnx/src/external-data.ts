import { externalLocationMax } from './defaults.ts';
import { OnnxError } from './errors.ts';

/**
 * Gives bytes of a file beside the model. `location` is a relative path that has passed `checkExternalLocation`; the
 * result must be `length` bytes long and may be a view.
 */
export type ReadExternal = (location: string, offset: number, length: number) => Uint8Array;

/** What a location must not be, by the reason given when it is. */
const refusals: readonly (readonly [reason: string, applies: (location: string) => boolean])[] = [
  ['a name', (location) => location === '' || location.includes('\0')],
  [`at most ${externalLocationMax} characters`, (location) => location.length > externalLocationMax],
  ['slashes, not backslashes', (location) => location.includes('\\')],
  ['a relative path', (location) => location.startsWith('/') || /^[a-z]:/i.test(location)],
  [
    'a path inside the folder of the model',
    (location) => location.split('/').some((part) => part === '..' || part === '.' || part === ''),
  ],
];

/**
 * Refuses a location of external data that is not a plain relative path below the model's folder: empty, absolute, with
 * a drive letter, backslashes, or parts that are empty, `.` or `..`. Throws `OnnxError` `unsafe-location`. Links are
 * for whoever opens the file to refuse.
 */
export function checkExternalLocation(location: string): void {
  const refusal = refusals.find(([, applies]) => applies(location));
  if (refusal)
    throw new OnnxError(
      `external data: expected ${refusal[0]}, got ${JSON.stringify(location.slice(0, 200))}`,
      { code: 'unsafe-location', location: location.slice(0, 200) },
    );
}
