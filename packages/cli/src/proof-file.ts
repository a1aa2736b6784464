import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { checkShareProof, type Share, shareProofBytesMax } from '@murmuration/protocol';
import { hashBytes, verifySignature } from '@murmuration/store';
import { toString as textOf } from 'uint8arrays/to-string';
import { CliError } from './errors.ts';

const asCliError = (file: string, error: unknown): unknown =>
  typeof (error as { syscall?: unknown }).syscall === 'string'
    ? new CliError(`${file}: ${(error as Error).message}`, { code: 'bad-file', file })
    : error;

/** Reads a proof file and checks it. Throws `CliError` `bad-file`, or what `checkShareProof` throws. */
export async function checkProofFile(
  file: string,
): Promise<Omit<Share, 'stateRoot'> & { readonly stateRoot: string }> {
  try {
    const { size } = statSync(file);
    if (size > shareProofBytesMax)
      throw new CliError(`${file}: expected at most ${shareProofBytesMax} bytes, found ${size}`, {
        code: 'bad-file',
        file,
      });
    const share = checkShareProof(readFileSync(file), { hash: hashBytes, verify: verifySignature });
    return { ...share, stateRoot: textOf(share.stateRoot, 'base16') };
  } catch (error) {
    throw asCliError(file, error);
  }
}

/** Writes a proof file. Throws `CliError` `bad-file`. */
export function writeProofFile(file: string, proof: Uint8Array): void {
  try {
    writeFileSync(file, proof);
  } catch (error) {
    throw asCliError(file, error);
  }
}
