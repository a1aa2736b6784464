/** Virtual time: events in the order of their times, and of their making among equal times. */
export interface World {
  readonly now: number;
  after(delayMs: number, run: () => void): void;
  /** Runs until nothing is left, the limit is passed or `done` says so. */
  run(limitMs: number, done: () => boolean): void;
  /** Forgets all that was to come. */
  clear(): void;
}

interface Item {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export function createWorld(): World {
  const heap: Item[] = [];
  let now = 0;
  let order = 0;
  const before = (a: Item, b: Item): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

  const push = (item: Item): void => {
    let index = heap.push(item) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(item, heap[parent] as Item)) break;
      heap[index] = heap[parent] as Item;
      index = parent;
    }
    heap[index] = item;
  };
  const pop = (): Item | undefined => {
    const top = heap[0];
    const last = heap.pop();
    if (!top || !last || heap.length === 0) return top;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Item, heap[child] as Item)) child++;
      if (!before(heap[child] as Item, last)) break;
      heap[index] = heap[child] as Item;
      index = child;
    }
    heap[index] = last;
    return top;
  };
  return {
    get now() {
      return now;
    },
    after(delayMs, run) {
      push({ at: now + Math.max(0, delayMs), order: order++, run });
    },
    clear() {
      heap.length = 0;
    },
    run(limitMs, done) {
      while (!done()) {
        const item = pop();
        if (!item || item.at > limitMs) return;
        now = item.at;
        item.run();
      }
    },
  };
}
