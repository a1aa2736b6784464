/**
 * What anybody ever showed as certified, and whether the ledgers at the end hold all of it. A round is shown by an
 * entry in a peer's folder, or by a peer that says so; it is lost if at the end no ledger has it, or one has another.
 */
import type { BlockId } from '@murmuration/protocol';

/** One round of a ledger. */
export interface Round {
  readonly height: number;
  readonly block: BlockId;
  /** Hex. */
  readonly root: string;
}

export class Ledgers {
  /** By height: the roots that were shown. A root names the block's state, which is all that matters. */
  readonly #shown = new Map<number, Set<string>>();

  show(height: number, root: string): void {
    const roots = this.#shown.get(height) ?? new Set();
    roots.add(root);
    this.#shown.set(height, roots);
  }

  /** Heights at which something was shown that the final ledgers do not have. */
  lost(finals: readonly (readonly Round[])[]): number[] {
    const final = new Map<number, Set<string>>();
    for (const { height, root } of finals.flat()) {
      const roots = final.get(height) ?? new Set();
      final.set(height, roots.add(root));
    }
    return [...this.#shown]
      .filter(([height, shown]) => {
        const kept = final.get(height);
        return kept?.size !== 1 || [...shown].some((root) => !kept.has(root));
      })
      .map(([height]) => height)
      .sort((a, b) => a - b);
  }
}

/** Whether every ledger reaches the height and has the same root there, and no two differ anywhere. */
export function areEqual(finals: readonly (readonly Round[])[], height: number): boolean {
  const roots = new Map<number, string>();
  for (const { height: at, block, root } of finals.flat()) {
    const text = `${block} ${root}`;
    if ((roots.get(at) ?? text) !== text) return false;
    roots.set(at, text);
  }
  return finals.every((rounds) => rounds.some((round) => round.height === height));
}
