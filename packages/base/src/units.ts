/** Durations in milliseconds. */
export const second = 1_000;
export const minute: number = 60 * second;
export const hour: number = 60 * minute;

/** Sizes in bytes. */
export const KiB = 1_024;
export const MiB: number = 1_024 * KiB;
export const GiB: number = 1_024 * MiB;
