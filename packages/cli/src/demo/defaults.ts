import { minute, second } from '@murmuration/base';

/** Each founder trains on one language, the late peer on a fifth; no other peer reads it. */
export const languages = {
  founders: ['fr', 'hi', 'ar', 'ru'],
  late: 'es',
} as const;

const names: Readonly<Record<string, string>> = {
  fr: 'French',
  hi: 'Hindi',
  ar: 'Arabic',
  ru: 'Russian',
  es: 'Spanish',
};

export const languageName = (language: string): string => names[language] ?? language;

/** A decoder-only transformer of about 0.9 million parameters on bytes. */
export const model = { vocabulary: 260, context: 128, width: 128, layers: 4, heads: 4 } as const;

/** Chosen by measuring; see the table in the package's README. */
export const training = {
  steps: 800,
  stepsPerRound: 5,
  /** A round takes a fifth of a second when the engines pause for it, and stale steps cost more than that. */
  overlapSteps: 0,
  batch: 8,
  learningRate: 4e-3,
  k: 64,
  bits: 1,
  kappa: 0,
  outerStep: 1,
  feedback: 0.95,
  /** Short, since everybody is on one machine; a few times what a busy engine needs to answer. */
  graceMs: 2_000,
  viewTimeoutMs: 4_000,
} as const;

/** When things happen, as shares of the run's rounds. */
export const script = {
  killAt: 0.3,
  restartAt: 0.38,
  lateAt: 0.5,
} as const;

/** Held-out text per language for the closing table: about half of it, enough for three digits. */
export const evaluationBytesMax = 131_072;
/** Without one more certified round for this long the demo gives up. */
export const stallTimeoutMs: number = 2 * minute;
export const stopGraceMs: number = 5 * second;
/** Lines of a peer's error output that are kept to explain an exit. */
export const stderrLinesMax = 20;
/** After the last round each peer reports its traffic once more; it does so every second. */
export const lastStatusMs: number = 1.5 * second;
/** The killed peer stays away at least this long, so that its absence can be seen. */
export const absenceMinMs: number = 3 * second;
