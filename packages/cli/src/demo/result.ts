/** The demo's closing table, and the same facts as one JSON object. */
import { formatBytes } from '../format.ts';
import { formatTable } from '../table.ts';
import { languageName } from './defaults.ts';
import type { DemoRun } from './demo.ts';
import type { Measurement } from './measure.ts';

/**
 * Bytes of one peer at its streams, over all its lives; its inner steps, and what they would have cost uncompressed.
 */
export interface PeerTraffic {
  readonly sent: number;
  readonly received: number;
  readonly steps: number;
  readonly dataParallel: number;
}

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
  /** Means over the peers. */
  readonly bytes: {
    readonly sentPerPeer: number;
    readonly receivedPerPeer: number;
    /** A float32 gradient per inner step. */
    readonly dataParallelPerPeer: number;
    readonly timesSmaller: number;
  };
  readonly peers: Readonly<Record<string, PeerTraffic>>;
  readonly killed: DemoRun['killed'] & { readonly endedEqual: boolean };
  readonly late: DemoRun['late'] & { readonly endedEqual: boolean };
  readonly exported: string;
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

export function resultOf(run: DemoRun, measured: Measurement): DemoResult {
  const roots = Object.fromEntries(run.peers.map(({ language, endRoot }) => [language, endRoot ?? '']));
  const reference = run.peers[0]?.endRoot;
  const endedEqual = (language: string): boolean => reference !== undefined && roots[language] === reference;
  const peers: Record<string, PeerTraffic> = {};
  for (const { language, traffic, status } of run.peers) {
    const steps = status?.step ?? 0;
    peers[language] = { ...traffic, steps, dataParallel: 4 * run.parameters * steps };
  }
  const perPeer = (key: keyof PeerTraffic): number =>
    Math.round(sum(Object.values(peers).map((traffic) => traffic[key])) / run.peers.length);
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
      sentPerPeer: perPeer('sent'),
      receivedPerPeer: perPeer('received'),
      dataParallelPerPeer: perPeer('dataParallel'),
      timesSmaller: perPeer('dataParallel') / perPeer('sent'),
    },
    peers,
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
      `alone, never saw it (${alone.map(languageName).join(', ')})`,
    ],
    Object.entries(result.bitsPerByte).map(([language, { common, solo, soloElsewhere }]) => [
      languageName(language),
      digits(common),
      digits(solo),
      digits(soloElsewhere),
    ]),
  );
  const traffic = formatTable(
    ['traffic at the streams', 'sent', 'received', 'steps', 'float32 gradient per step', 'state root'],
    Object.entries(result.peers).map(([language, { sent, received, steps, dataParallel }]) => [
      languageName(language),
      formatBytes(sent),
      formatBytes(received),
      String(steps),
      formatBytes(dataParallel),
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
