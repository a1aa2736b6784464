/**
 * What is derived from large collections is made once per change. A `CountedMap` counts its changes; `derived` keeps
 * the last result of a function of the machine for as long as what it was made from is the same.
 */
import type { Machine } from './machine.ts';

/** A map that counts its changes. Setting an entry again counts, so a value that changes inside is set again. */
export class CountedMap<Key, Value> extends Map<Key, Value> {
  revision = 0;

  override set(key: Key, value: Value): this {
    this.revision++;
    return super.set(key, value);
  }

  override delete(key: Key): boolean {
    this.revision++;
    return super.delete(key);
  }

  override clear(): void {
    this.revision++;
    super.clear();
  }
}

/** `make`, made again only when one of the things that `inputsOf` lists is another. */
export function derived<Result>(
  inputsOf: (machine: Machine) => readonly unknown[],
  make: (machine: Machine) => Result,
): (machine: Machine) => Result {
  const kept = new WeakMap<Machine, { readonly inputs: readonly unknown[]; readonly result: Result }>();
  return (machine) => {
    const inputs = inputsOf(machine);
    const last = kept.get(machine);
    if (last?.inputs.every((input, index) => input === inputs[index])) return last.result;
    const result = make(machine);
    kept.set(machine, { inputs, result });
    return result;
  };
}

/** A function of a value that never changes, made once per value. */
export function once<Value extends object, Result>(make: (value: Value) => Result): (value: Value) => Result {
  const kept = new WeakMap<Value, { readonly result: Result }>();
  return (value) => {
    const known = kept.get(value) ?? { result: make(value) };
    kept.set(value, known);
    return known.result;
  };
}
