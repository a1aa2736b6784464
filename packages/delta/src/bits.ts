import { DeltaError } from './errors.ts';

/** Appends bit fields, most significant bit first, to a buffer that the caller has made large enough. */
export class BitWriter {
  readonly bytes: Uint8Array;
  #at: number;
  #pending = 0;
  #pendingBits = 0;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.#at = at;
  }

  /** Writes the low `width` bits of `value`; `width` in [0, 16], higher bits of `value` are zero. */
  write(value: number, width: number): void {
    this.#pending = (this.#pending << width) | value;
    this.#pendingBits += width;
    while (this.#pendingBits >= 8) {
      this.#pendingBits -= 8;
      this.bytes[this.#at++] = this.#pending >>> this.#pendingBits;
    }
    this.#pending &= (1 << this.#pendingBits) - 1;
  }

  /** Writes `count` ones, then a zero unless `count` is `countMax`. */
  writeUnary(count: number, countMax: number): void {
    let left = count;
    for (; left >= 16; left -= 16) this.write(0xffff, 16);
    if (count < countMax) this.write(2 ** (left + 1) - 2, left + 1);
    else this.write(2 ** left - 1, left);
  }

  /** Fills the last byte with zero bits; the number of bytes in use. */
  finish(): number {
    if (this.#pendingBits > 0) this.write(0, 8 - this.#pendingBits);
    return this.#at;
  }
}

/** Reads what `BitWriter` wrote; throws `DeltaError` `truncated` instead of reading past the end. */
export class BitReader {
  readonly #bytes: Uint8Array;
  #at: number;
  #pending = 0;
  #pendingBits = 0;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** The next `width` bits, in [0, 16]. */
  read(width: number): number {
    while (this.#pendingBits < width) {
      if (this.#at >= this.#bytes.length)
        throw new DeltaError(`delta: ends at byte ${this.#at}, expected more chunks`, {
          code: 'truncated',
          length: this.#at,
        });
      this.#pending = (this.#pending << 8) | (this.#bytes[this.#at++] as number);
      this.#pendingBits += 8;
    }
    this.#pendingBits -= width;
    const value = this.#pending >>> this.#pendingBits;
    this.#pending &= (1 << this.#pendingBits) - 1;
    return value;
  }

  /** The number of ones before the next zero, at most `countMax`. */
  readUnary(countMax: number): number {
    let count = 0;
    while (count < countMax && this.read(1) === 1) count++;
    return count;
  }

  /** Throws `DeltaError` `trailing` unless all that is left are the zero bits that fill the last byte. */
  finish(): void {
    if (this.#at !== this.#bytes.length || this.#pending !== 0)
      throw new DeltaError(
        `delta: expected to end at byte ${this.#at} with zero bits, got ${this.#bytes.length} bytes`,
        { code: 'trailing', expected: this.#at, length: this.#bytes.length },
      );
  }
}
