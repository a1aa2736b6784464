/** What one peer did between the first round that it saw certified and the end of the run, from what it told. */
import type { PeerEvent, PeerStatus } from '@murmuration/peer';

export interface Span {
  readonly rounds: number;
  readonly seconds: number;
  readonly trainingSeconds: number;
  readonly evaluationSeconds: number;
  readonly callsSeconds: number;
  readonly steps: number;
  readonly sentBytes: number;
  /** From each delta's encoding until its round was certified, ms. */
  readonly certificationMs: readonly number[];
}

/** Follows one peer's events. */
export class SpanWatch {
  #first: PeerStatus | undefined;
  #last: PeerStatus | undefined;
  #encodedMs: number | undefined;
  readonly #certificationMs: number[] = [];

  /** Whether the peer has said where its time went up to the last round. */
  get hasEnded(): boolean {
    return this.#last?.phase === 'ended';
  }

  /** `nowMs` is when the event came. */
  note(event: PeerEvent, nowMs: number): void {
    if (event.kind === 'contributed') this.#encodedMs = nowMs;
    if (event.kind === 'expired') this.#encodedMs = undefined;
    if (event.kind === 'certified' && event.own && this.#encodedMs !== undefined) {
      this.#certificationMs.push(nowMs - this.#encodedMs);
      this.#encodedMs = undefined;
    }
    if (event.kind !== 'status' || event.status.round === 0 || !event.status.time) return;
    this.#first ??= event.status;
    if (this.#last?.phase !== 'ended') this.#last = event.status;
  }

  /** Nothing when the peer has not told enough. */
  span(): Span | undefined {
    const [first, last] = [this.#first, this.#last];
    if (!first?.time || !last?.time || last.time.wallSeconds <= first.time.wallSeconds) return undefined;
    return {
      rounds: last.round - first.round,
      seconds: last.time.wallSeconds - first.time.wallSeconds,
      trainingSeconds: last.time.trainingSeconds - first.time.trainingSeconds,
      evaluationSeconds: last.time.evaluationSeconds - first.time.evaluationSeconds,
      callsSeconds: last.time.callsSeconds - first.time.callsSeconds,
      steps: last.step - first.step,
      sentBytes: last.traffic.sent - first.traffic.sent,
      certificationMs: this.#certificationMs,
    };
  }
}
