import { nameStemMax } from './defaults.ts';

/** Gives names that no value has. */
export interface Names {
  /** Marks a name as taken; false if it was already. */
  take(name: string): boolean;
  /** A name that was not taken, and now is: the start of the stem, or that with a number. */
  fresh(stem: string): string;
}

/** Names besides those that are taken. */
export function createNames(taken: Iterable<string> = []): Names {
  const all = new Set(taken);
  const counters = new Map<string, number>();
  const take = (name: string): boolean => all.size !== all.add(name).size;
  return {
    take,
    fresh(long) {
      const stem = long.slice(0, nameStemMax);
      for (;;) {
        const count = counters.get(stem) ?? 0;
        counters.set(stem, count + 1);
        const candidate = count === 0 ? stem : `${stem}_${count}`;
        if (take(candidate)) return candidate;
      }
    },
  };
}
