import type { AbortOptions } from '@libp2p/interface';
import { MemoryDatastore } from 'datastore-core';
import type { Key } from 'interface-datastore';

/**
 * What libp2p remembers about peers and who provides what, in memory and bounded: strangers decide how much there is
 * to remember, so the entry that was written longest ago makes room.
 */
export class BoundedDatastore extends MemoryDatastore {
  readonly #entriesMax: number;
  readonly #order = new Map<string, Key>();

  constructor(entriesMax: number) {
    super();
    this.#entriesMax = entriesMax;
  }

  override put(key: Key, value: Uint8Array, options?: AbortOptions): Key {
    this.#order.delete(key.toString());
    this.#order.set(key.toString(), key);
    const [oldest] = this.#order.values();
    if (this.#order.size > this.#entriesMax && oldest) this.delete(oldest);
    return super.put(key, value, options) as Key;
  }

  override delete(key: Key, options?: AbortOptions): void {
    this.#order.delete(key.toString());
    void super.delete(key, options);
  }
}
