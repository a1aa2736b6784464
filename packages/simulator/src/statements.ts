/**
 * Messages read without the protocol's own reader: whatever a body says, a statement is `{ kind, body, signature }` and
 * what travels beside (the header of a proposal).
 */
import { decodeCbor, encodeCbor } from '@murmuration/base';
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
    signature: sign(concat([fromString(`murmuration/1/${kind}\0`), encodeCbor(body)])),
  });

/** What no honest peer signs twice: the place of a statement in its signer's log, and who signed it. */
export function placeOf({ kind, body }: RawStatement): { signer: string; place: string } | undefined {
  const text = (name: string): string => String(body[name]);
  const epoch = `epoch ${text('epoch')} ${text('opened').slice(-6)}`;
  switch (kind) {
    case 'vote':
      return {
        signer: text('voter'),
        place: `vote of ${epoch} view ${text('view')} ${text('choice')}`,
      };
    case 'proposal':
      return { signer: text('proposer'), place: `proposal of ${epoch} view ${text('view')}` };
    case 'contribution':
      return { signer: text('author'), place: `contribution ${text('sequence')}` };
    default:
      return undefined;
  }
}

/** What a peer signed of an opening: one list of names at a fork in each attempt. */
export function signedOpening(
  { kind, body }: RawStatement,
  peer: string,
): { readonly place: string; readonly what: string } | undefined {
  if (kind !== 'opening') return undefined;
  const { fork, attempt, authority, listed, signatures } = body as Readonly<
    Record<'fork' | 'attempt' | 'authority', string>
  > & { readonly listed: readonly string[]; readonly signatures: readonly { readonly peer: string }[] };
  return signatures.some((entry) => entry.peer === peer)
    ? { place: `opening at ${fork.slice(-6)} attempt ${attempt}`, what: `${authority} ${listed.join()}` }
    : undefined;
}
