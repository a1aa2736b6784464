/**
 * How fast our uplink carries what others pull from us. The kernel and the multiplexer take a small blob at once, so
 * when it was sent says nothing; but whoever pulls one ends its stream when it has all, so that the end of the stream
 * says when it arrived. The answer's time on the way is in the figure, as it is in a round.
 */
import { uplinkAnswerBytesMin, uplinkBusyMinMs, uplinkMemoryMs } from './defaults.ts';
import type { Uplink } from './index.ts';

/** What one stream has carried from its first answer to its end. */
export interface ServedTransfer {
  readonly bytes: number;
  readonly begunMs: number;
  readonly endedMs: number;
}

/** Bytes over the time in which at least one transfer was under way; older transfers count less and less. */
export class UplinkMeter {
  #servedBytes = 0;
  #bytes = 0;
  #busyMs = 0;
  #coveredMs = Number.NEGATIVE_INFINITY;

  /** Transfers come in the order of their ends. */
  note({ bytes, begunMs, endedMs }: ServedTransfer): void {
    this.#servedBytes += bytes;
    if (bytes < uplinkAnswerBytesMin) return;
    this.#bytes += bytes;
    this.#busyMs += Math.max(0, endedMs - Math.max(begunMs, this.#coveredMs));
    this.#coveredMs = endedMs;
    if (this.#busyMs <= uplinkMemoryMs) return;
    this.#bytes /= 2;
    this.#busyMs /= 2;
  }

  uplink(): Uplink {
    const measured = this.#busyMs >= uplinkBusyMinMs;
    return {
      bytesPerSecond: measured ? (1_000 * this.#bytes) / this.#busyMs : undefined,
      servedBytes: this.#servedBytes,
    };
  }
}
