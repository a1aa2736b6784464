import type { Job, Schedule } from './schedule.ts';

/** Training that can be ended early. */
export interface StoppableJob extends Job {
  /** Its next slice is its last and does nothing. */
  stop(): void;
}

/** Orders to train: one after another, so that the next one begins in the turn in which its predecessor ends. */
export class TrainingQueue {
  readonly #schedule: Schedule;
  readonly #orders = new Set<{ readonly job: StoppableJob; readonly ended: Promise<void> }>();

  constructor(schedule: Schedule) {
    this.#schedule = schedule;
  }

  /** Resolves when the job has ended, rejects with what a slice threw. */
  async run(job: StoppableJob): Promise<void> {
    const earlier = [...this.#orders].map(({ ended }) => ended);
    const order = { job, ended: Promise.allSettled(earlier).then(() => this.#schedule.start(job)) };
    this.#orders.add(order);
    try {
      await order.ended;
    } finally {
      this.#orders.delete(order);
    }
  }

  /** Ends all orders that have been given, within one slice. */
  async stop(): Promise<void> {
    const orders = [...this.#orders];
    for (const { job } of orders) job.stop();
    await Promise.allSettled(orders.map(({ ended }) => ended));
  }
}
