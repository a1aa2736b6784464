/**
 * The words that every other package shares: what a parameter vector looks like, how bytes are named, how random
 * numbers are drawn, what a run's settings are, what an error carries.
 *
 * @example
 * const layout = createLayout([{ name: 'weight', shape: [2, 3] }]);
 * const θ = new Float32Array(layout.length);
 * const { cid } = nameBlob(new Uint8Array(θ.buffer));
 */
export * from './blob.ts';
export * from './digest.ts';
export * from './errors.ts';
export * from './example-run.ts';
export * from './layout.ts';
export * from './merkle.ts';
export * from './random.ts';
export * from './run-config.ts';
export * from './run-defaults.ts';
export * from './units.ts';
