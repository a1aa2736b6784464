import { FactError } from '@murmuration/base';

/** A scenario that cannot be run. */
export class SimulatorError extends FactError<'bad-scenario'> {}
