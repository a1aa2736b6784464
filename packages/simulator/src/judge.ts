/** Watches everything that peers publish and settle, and says which guarantee of PROTOCOL.md was broken. */
import { decodeCbor, type PeerId } from '@murmuration/base';
import type { Block, Contribution } from '@murmuration/protocol';

export interface Judge {
  readonly problems: readonly string[];
  complain(problem: string): void;
  published(peer: PeerId, message: Uint8Array): void;
  settled(peer: PeerId, block: Block, now: number): void;
  readonly finalAtMs: readonly number[];
  /** A view that some peer saw skipped. */
  skipped(view: string): void;
  readonly skippedViews: number;
  performed(kind: string): void;
  readonly counts: Readonly<Record<string, number>>;
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

interface Signed {
  readonly kind: string;
  readonly body: {
    readonly epoch: number;
    readonly view: number;
    readonly choice: string;
    readonly block: string | null;
    readonly voter: string;
    readonly proposer: string;
    readonly author: string;
    readonly sequence: number;
  };
}

export function createJudge(): Judge {
  const problems: string[] = [];
  const finalAtMs: number[] = [];
  const blocks = new Map<number, { readonly id: string; readonly root: string }>();
  const certified = new Map<string, number>();
  const payloads = new Map<string, number>();
  const signed = new Map<string, string>();
  const counts: Record<string, number> = {};
  const skippedViews = new Set<string>();
  const complain = (problem: string): void => {
    if (problems.length < 20) problems.push(problem);
  };
  const once = (key: string, value: string): void => {
    const earlier = signed.get(key);
    if (earlier !== undefined && earlier !== value)
      complain(`G8: contradicts what was signed before: ${key}`);
    signed.set(key, value);
  };
  const watchContributions = (height: number, contributions: readonly Contribution[]): void => {
    for (const { cid, blob } of contributions) {
      if ((certified.get(cid) ?? height) !== height) complain(`G4: ${cid} is certified twice`);
      if ((payloads.get(blob) ?? height) !== height) complain(`G4: payload ${blob} is certified twice`);
      certified.set(cid, height);
      payloads.set(blob, height);
    }
  };
  return {
    problems,
    finalAtMs,
    complain,
    counts,
    performed(kind) {
      counts[kind] = (counts[kind] ?? 0) + 1;
    },
    skipped: (view) => skippedViews.add(view),
    get skippedViews() {
      return skippedViews.size;
    },
    published(peer, message) {
      for (const bytes of decodeCbor(message) as Uint8Array[]) {
        const { kind, body } = decodeCbor(bytes) as Signed;
        const where = `${kind} of epoch ${body.epoch} view ${body.view}`;
        if (kind === 'vote' && body.voter === peer) {
          once(`${peer} ${where} ${body.choice}`, hex(bytes));
          if (body.choice === 'notarize') continue;
          const other = body.choice === 'skip' ? 'finalize' : 'skip';
          if (signed.has(`${peer} ${where} ${other}`)) complain(`G8: ${peer} skips and finalizes: ${where}`);
        }
        if (kind === 'proposal' && body.proposer === peer) once(`${peer} ${where}`, hex(bytes));
        if (kind === 'contribution' && body.author === peer)
          once(`${peer} ${kind} ${body.sequence}`, hex(bytes));
      }
    },
    settled(peer, block, now) {
      const root = hex(block.stateRoot);
      const known = blocks.get(block.height);
      if (!known) {
        blocks.set(block.height, { id: block.id, root });
        finalAtMs[block.height] = now;
      } else if (known.id !== block.id)
        complain(`G1: ${peer} finalizes another block at height ${block.height}`);
      else if (known.root !== root) complain(`G2: ${peer} has another root at height ${block.height}`);
      watchContributions(block.height, block.contributions);
    },
  };
}
