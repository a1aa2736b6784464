import { createInterface } from 'node:readline/promises';
import { CliError } from './errors.ts';

/** Asks at the terminal; only a yes is one. Throws `CliError` `not-confirmed` where there is no terminal. */
export async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new CliError('expected --yes, since there is no terminal to ask at', { code: 'not-confirmed' });
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(question);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}
