/** What every error of this project carries: a code to switch on, and the facts that the message is made of. */
export interface ErrorFacts<Code extends string> {
  code: Code;
  [fact: string]: unknown;
}

/**
 * An error as facts. Each package has one subclass with its own union of codes.
 *
 * @example
 * class DeltaError extends FactError<'truncated' | 'too-long'> {}
 * throw new DeltaError('blob ends at byte 12, expected 36 header bytes', { code: 'truncated', length: 12 });
 */
export class FactError<Code extends string> extends Error {
  readonly code: Code;
  readonly facts: ErrorFacts<Code>;

  constructor(message: string, facts: ErrorFacts<Code>, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = facts.code;
    this.facts = facts;
  }
}

/** A programmer's error: a precondition of an internal call does not hold. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
