/**
 * Messages read without the protocol's own reader: whatever a body says, a statement is `{ kind, body, signature }` and
 * what travels beside (the header of a proposal).
 */
import { decodeCbor, encodeCbor, type PeerId } from '@murmuration/base';
import { concat } from 'uint8arrays/concat';
import { fromString } from 'uint8arrays/from-string';

export interface RawStatement {
  readonly kind: string;
  readonly body: Body;
  /** What travels beside the signed body. */
  readonly attached: Body;
  readonly bytes: Uint8Array;
}

/** Named values, as a statement's body has them. */
export type Body = Readonly<Record<string, unknown>>;

const known = new WeakMap<Uint8Array, readonly RawStatement[]>();

/** The statements of a gossip message; a message that is read twice is decoded once. */
export function readMessage(message: Uint8Array): readonly RawStatement[] {
  const before = known.get(message);
  if (before) return before;
  const statements = (decodeCbor(message) as Uint8Array[]).map((bytes) => {
    const { kind, body, signature: _, ...attached } = decodeCbor(bytes) as Body & RawStatement;
    return { kind, body, attached, bytes };
  });
  known.set(message, statements);
  return statements;
}

export const writeMessage = (statements: readonly Uint8Array[]): Uint8Array => encodeCbor(statements);

const signedBytes = (kind: string, body: Body): Uint8Array =>
  concat([fromString(`murmuration/1/${kind}\0`), encodeCbor(body)]);

/** Whether this peer's own key signed a statement. */
export function isSignedBy(
  { kind, body, bytes }: RawStatement,
  signer: PeerId,
  verify: (signer: PeerId, bytes: Uint8Array, signature: Uint8Array) => boolean,
): boolean {
  const { signature } = decodeCbor(bytes) as { readonly signature: Uint8Array };
  return verify(signer, signedBytes(kind, body), signature);
}

/** A statement with this body, signed anew. */
export const signStatement = (
  kind: string,
  body: Body,
  sign: (bytes: Uint8Array) => Uint8Array,
  attached: Body = {},
): Uint8Array =>
  encodeCbor({
    ...attached,
    kind,
    body,
    signature: sign(signedBytes(kind, body)),
  });

/** Where a statement stands in its signer's log. */
export interface Place {
  readonly signer: string;
  readonly place: string;
  /** Whether a restored backup is bound by it, too: numbers of contributions may come again with another delta. */
  readonly outlivesDisk: boolean;
}

/** What no honest peer signs twice: the place of a statement, and who signed it. */
export function placeOf({ kind, body }: RawStatement): Place | undefined {
  const text = (name: string): string => String(body[name]);
  const epoch = `epoch ${text('epoch')} ${text('opened').slice(-6)}`;
  const view = `${epoch} view ${text('view')}`;
  switch (kind) {
    case 'vote':
      return { signer: text('voter'), place: `vote of ${view} ${text('choice')}`, outlivesDisk: true };
    case 'proposal':
      return { signer: text('proposer'), place: `proposal of ${view}`, outlivesDisk: true };
    case 'contribution':
      return { signer: text('author'), place: `contribution ${text('sequence')}`, outlivesDisk: false };
    default:
      return undefined;
  }
}

/** What a peer signed of an opening: one list of names and keys at a fork, of survivors in each attempt. */
export function signedOpening(
  { kind, body }: RawStatement,
  peer: string,
): { readonly place: string; readonly what: string } | undefined {
  if (kind !== 'opening') return undefined;
  const { fork, attempt, authority, listed, rekeys, signatures } = body as Readonly<
    Record<'fork' | 'attempt' | 'authority', string>
  > & {
    readonly listed: readonly string[];
    readonly rekeys: readonly Uint8Array[];
    readonly signatures: readonly { readonly peer: string }[];
  };
  return signatures.some((entry) => entry.peer === peer)
    ? {
        place: `opening of ${authority} at ${fork.slice(-6)} attempt ${attempt}`,
        what: `${listed.join()} ${rekeys.join(' ')}`,
      }
    : undefined;
}
