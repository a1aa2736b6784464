/**
 * The engine changes θ in the order in which the replica decided, whatever each change has to wait for: tasks run
 * one after the other. Training is not in the lane; the engine itself serves the lane's calls between two steps.
 */
export class EngineLane {
  #tail: Promise<void> = Promise.resolve();
  readonly #onFailure: (error: unknown) => void;

  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** Runs `task` after all earlier ones; a failure ends the lane's owner, since later tasks build on this one. */
  enqueue(task: () => Promise<void>): void {
    this.#tail = this.#tail.then(task).catch((error: unknown) => this.#onFailure(error));
  }
}
