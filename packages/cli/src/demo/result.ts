/** The demo's closing table, and the same facts as one JSON object. */
import { formatBytes } from '../format.ts';
import { formatTable } from '../table.ts';
import { languageNames } from './defaults.ts';
import type { DemoRun } from './demo.ts';
import type { Measurement } from './measure.ts';

export interface DemoResult {
  readonly equal: boolean;
  readonly roots: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly seconds: number;
  /** `soloElsewhere`: on this language, the mean of the lone peers of other languages. */
  readonly bitsPerByte: Readonly<
    Record<
      string,
      { readonly common: number; readonly solo: number | null; readonly soloElsewhere: number | null }
    >
  >;
  readonly bytes: {
    readonly sentPerPeer: Readonly<Record<string, number>>;
    readonly receivedPerPeer: Readonly<Record<string, number>>;
    readonly dataParallelPerPeer: Readonly<Record<string, number>>;
    readonly timesSmaller: number;
  };
  readonly killed: DemoRun['killed'] & { readonly endedEqual: boolean };
  readonly late: DemoRun['late'] & { readonly endedEqual: boolean };
  readonly exported: string;
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

export function resultOf(run: DemoRun, measured: Measurement): DemoResult {
  const roots = Object.fromEntries(run.peers.map(({ language, endRoot }) => [language, endRoot ?? '']));
  const reference = run.peers[0]?.endRoot;
  const endedEqual = (language: string): boolean => reference !== undefined && roots[language] === reference;
  const sentPerPeer: Record<string, number> = {};
  const receivedPerPeer: Record<string, number> = {};
  const dataParallelPerPeer: Record<string, number> = {};
  for (const { language, traffic, status } of run.peers) {
    sentPerPeer[language] = traffic.sent;
    receivedPerPeer[language] = traffic.received;
    dataParallelPerPeer[language] = 4 * run.parameters * (status?.step ?? 0);
  }
  const bitsPerByte: Record<string, DemoResult['bitsPerByte'][string]> = {};
  for (const [language, common] of Object.entries(measured.common)) {
    const elsewhere = Object.entries(measured.alone)
      .filter(([trained]) => trained !== language)
      .map(([, losses]) => losses[language] ?? Number.NaN);
    bitsPerByte[language] = {
      common,
      solo: measured.alone[language]?.[language] ?? null,
      soloElsewhere: elsewhere.length > 0 ? sum(elsewhere) / elsewhere.length : null,
    };
  }
  return {
    equal: run.peers.every(({ language }) => endedEqual(language)),
    roots,
    rounds: run.rounds,
    seconds: Math.round(run.seconds),
    bitsPerByte,
    bytes: {
      sentPerPeer,
      receivedPerPeer,
      dataParallelPerPeer,
      timesSmaller: sum(Object.values(dataParallelPerPeer)) / sum(Object.values(sentPerPeer)),
    },
    killed: { ...run.killed, endedEqual: endedEqual(run.killed.language) },
    late: { ...run.late, endedEqual: endedEqual(run.late.language) },
    exported: measured.exported,
  };
}

const digits = (value: number | null): string => (value === null ? '–' : value.toFixed(3));

export function describeResult(result: DemoResult, alone: readonly string[]): string {
  const losses = formatTable(
    [
      'held-out loss, bits per byte',
      'common model',
      'alone, own language',
      `alone, never saw it (${alone.join(', ')})`,
    ],
    Object.entries(result.bitsPerByte).map(([language, { common, solo, soloElsewhere }]) => [
      languageNames[language] ?? language,
      digits(common),
      digits(solo),
      digits(soloElsewhere),
    ]),
  );
  const traffic = formatTable(
    ['traffic at the streams', 'sent', 'received', 'float32 gradient per step', 'state root'],
    Object.keys(result.roots).map((language) => [
      languageNames[language] ?? language,
      formatBytes(result.bytes.sentPerPeer[language] ?? 0),
      formatBytes(result.bytes.receivedPerPeer[language] ?? 0),
      formatBytes(result.bytes.dataParallelPerPeer[language] ?? 0),
      (result.roots[language] ?? '').slice(0, 16),
    ]),
  );
  const roots = result.equal
    ? `All ${Object.keys(result.roots).length} peers report the same state root after round ${result.rounds}.`
    : 'THE STATE ROOTS DIFFER: the peers do not hold the same model.';
  return [
    losses,
    '',
    traffic,
    '',
    roots,
    `${result.bytes.timesSmaller.toFixed(0)} times less was sent than by data-parallel training; ${result.rounds} rounds in ${result.seconds} s.`,
    `The model: ${result.exported} (stock onnxruntime runs it). Let it write:`,
    `  npm run murmur -- generate --model ${result.exported} --prompt 'La '`,
  ].join('\n');
}
