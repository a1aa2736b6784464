import type { PeerId } from '@murmuration/base';
import { ProtocolError } from './errors.ts';
import { bytesField, cidField, integerField, peerField, readFields, wordField } from './fields.ts';
import type { BlockId } from './index.ts';

export type Choice = 'notarize' | 'skip' | 'finalize';
export const choices: readonly Choice[] = ['notarize', 'skip', 'finalize'];

/**
 * An epoch, by its number and by the block that opened it: an opening of survivors may have the number of a regular
 * epoch, and no signature for the one may count in the other.
 */
export interface EpochId {
  readonly epoch: number;
  readonly opened: BlockId;
}

export const isSameEpoch = (a: EpochId, b: EpochId): boolean => a.epoch === b.epoch && a.opened === b.opened;

/** One voter's vote in one view. `block` is absent exactly for `skip`. */
export interface Vote extends EpochId {
  readonly view: number;
  readonly choice: Choice;
  readonly block: BlockId | undefined;
  readonly voter: PeerId;
}

export const voteBody = (run: Uint8Array, { block, ...vote }: Vote): Record<string, unknown> => ({
  run,
  ...vote,
  block: block ?? null,
});

/** The block that a vote or certificate names: one unless it skips. Throws `ProtocolError` `bad-message`. */
export function readBlock(fields: Parameters<typeof cidField>[0], choice: Choice): BlockId | undefined {
  if (choice !== 'skip') return cidField(fields, 'block');
  if (fields.values.block !== null)
    throw new ProtocolError(`${fields.where}.block: expected none in a skip`, { code: 'bad-message' });
  return undefined;
}

export function readVote(body: unknown): { readonly run: Uint8Array; readonly vote: Vote } {
  const fields = readFields(body, 'vote', ['run', 'epoch', 'opened', 'view', 'choice', 'block', 'voter']);
  const choice = wordField(fields, 'choice', choices);
  const vote: Vote = {
    epoch: integerField(fields, 'epoch'),
    opened: cidField(fields, 'opened'),
    view: integerField(fields, 'view'),
    choice,
    block: readBlock(fields, choice),
    voter: peerField(fields, 'voter'),
  };
  return { run: bytesField(fields, 'run', 32), vote };
}
