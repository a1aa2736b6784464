/** Question `chaos`: does what was certified stay certified while real peers die, and while their network breaks? */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CliError } from '../../src/errors.ts';
import { formatTable } from '../../src/table.ts';
import { guarded } from '../guarded.ts';
import { Lan, lanPort, whyNoNamespaces } from '../namespaces/lan.ts';
import * as defaults from './defaults.ts';
import { Fleet } from './fleet.ts';
import { playKills } from './kills.ts';
import type { MemoryAt } from './memory.ts';
import { type PartitionResult, playPartition, portsFor, slowPorts } from './partition.ts';

/** What is said as JSON. */
export interface Figures {
  readonly rounds: number;
  readonly kills: number;
  readonly equalRoots: boolean;
  readonly lostRounds: number;
  readonly contradictedVotes: number;
}

/** What the tables say beside it. */
interface Details {
  /** Different votes and proposals that were seen, and statements with a wrong signature. */
  readonly votes: number;
  readonly proposals: number;
  readonly unverified: number;
  readonly seconds: number;
  readonly seed: string;
  readonly memory: readonly MemoryAt[];
  readonly partition:
    | Pick<PartitionResult, 'before' | 'during' | 'after' | 'secondsToHeal' | 'connectMs'>
    | undefined;
}

interface Result {
  readonly figures: Figures;
  readonly details: Details;
}

interface Plan {
  readonly peers: number;
  readonly rounds: number;
  readonly secondsBetweenKills: number;
  readonly partitionSeconds: number;
  readonly seed: string;
  readonly namespaces: boolean;
}

function readPlan(options: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...options],
    options: {
      namespaces: { type: 'boolean', default: false },
      peers: { type: 'string', default: String(defaults.peers) },
      rounds: { type: 'string', default: String(defaults.rounds) },
      'seconds-between-kills': { type: 'string', default: String(defaults.secondsBetweenKills) },
      'partition-seconds': { type: 'string', default: String(defaults.namespaces.partitionMs / 1_000) },
      seed: { type: 'string', default: '1' },
    },
  });
  const number = (
    name: 'peers' | 'rounds' | 'seconds-between-kills' | 'partition-seconds',
    min: number,
  ): number => {
    const value = Number(values[name]);
    if (value >= min) return value;
    throw new CliError(`--${name}: expected a number of at least ${min}, got ${values[name]}`, {
      code: 'bad-option',
    });
  };
  return {
    peers: number('peers', 1),
    rounds: number('rounds', 1),
    secondsBetweenKills: number('seconds-between-kills', 0),
    partitionSeconds: number('partition-seconds', 1),
    seed: values.seed,
    namespaces: values.namespaces,
  };
}

export async function bench(options: readonly string[] = []): Promise<Figures> {
  const plan = readPlan(options);
  const startedMs = performance.now();
  const onNews = (text: string): void =>
    console.log(`${((performance.now() - startedMs) / 1_000).toFixed(0).padStart(6)} s  ${text}`);
  const common = {
    directory: mkdtempSync(join(tmpdir(), 'murmuration-chaos-')),
    peers: plan.peers,
    roundsPerMark: Math.max(1, Math.ceil(plan.rounds / 10)),
    onNews,
  };
  const result = await (plan.namespaces ? inNamespaces(plan, common) : onLoopback(plan, common));
  print(result);
  return result.figures;
}

type Common = Pick<Parameters<typeof Fleet.create>[0], 'directory' | 'peers' | 'roundsPerMark' | 'onNews'>;

async function onLoopback(plan: Plan, common: Common): Promise<Result> {
  const { rounds, secondsBetweenKills, seed, peers } = plan;
  const { graceMs, viewTimeoutMs } = defaults.training;
  const init = { ...common, rounds, graceMs, viewTimeoutMs, listen: () => '/ip4/127.0.0.1/tcp/0' };
  const startedMs = performance.now();
  const fleet = await Fleet.create(init);
  const { kills, ...outcome } = await guarded({ fleet }, () =>
    playKills(fleet, peers, { rounds, secondsBetweenKills, seed, onNews: common.onNews }),
  );
  return resultOf(fleet, { ...outcome, kills, seed, startedMs, partition: undefined }, common);
}

async function inNamespaces(plan: Plan, common: Common): Promise<Result> {
  const reason = whyNoNamespaces();
  if (reason) throw new CliError(`--namespaces: ${reason}`, { code: 'bad-option' });
  const { peers, seed } = plan;
  const { delayMs, loss, slowBitsPerSecond } = defaults.link;
  const lan = await Lan.create({
    ports: portsFor(peers),
    delayMs,
    loss,
    slow: { ports: slowPorts(peers), bitsPerSecond: slowBitsPerSecond },
    seed,
  });
  const { graceMs, viewTimeoutMs, roundsBefore, roundsAfter } = defaults.namespaces;
  const startedMs = performance.now();
  const fleet = await Fleet.create({
    ...common,
    roundsPerMark: 10,
    rounds: 10_000,
    graceMs,
    viewTimeoutMs,
    listen: (index) => `/ip4/${lan.address(index)}/tcp/${lanPort}`,
    launcher: lan.launcher,
  });
  const { before, during, after, secondsToHeal, connectMs, ...outcome } = await guarded({ fleet, lan }, () =>
    playPartition(fleet, lan, {
      peers,
      roundsBefore,
      roundsAfter,
      partitionMs: plan.partitionSeconds * 1_000,
      onNews: common.onNews,
    }),
  );
  const partition = { before, during, after, secondsToHeal, connectMs };
  return resultOf(fleet, { ...outcome, kills: 0, seed, startedMs, partition }, common);
}

interface Played extends Pick<Details, 'partition'> {
  readonly equalRoots: boolean;
  readonly lostRounds: readonly number[];
  readonly height: number;
  readonly kills: number;
  readonly seed: string;
  readonly startedMs: number;
}

function resultOf(fleet: Fleet, played: Played, { directory, onNews }: Common): Result {
  const { contradictions, counts } = fleet.witness;
  for (const { signer, epoch, view, first, second } of contradictions)
    onNews(`CONTRADICTION by ${signer} in epoch ${epoch}, view ${view}: ${first}, ${second}`);
  if (played.lostRounds.length > 0) onNews(`LOST ROUNDS: ${played.lostRounds.join(', ')}`);
  if (played.equalRoots && played.lostRounds.length + contradictions.length === 0) fleet.remove();
  else onNews(`the folders are kept in ${directory}`);
  return {
    figures: {
      rounds: played.height,
      kills: played.kills,
      equalRoots: played.equalRoots,
      lostRounds: played.lostRounds.length,
      contradictedVotes: contradictions.length,
    },
    details: {
      ...counts,
      seconds: Math.round((performance.now() - played.startedMs) / 1_000),
      seed: played.seed,
      memory: fleet.memory.table(),
      partition: played.partition,
    },
  };
}

function print({ figures, details: { memory, partition, ...more } }: Result): void {
  console.log(
    formatTable(
      ['what', 'figure'],
      Object.entries({ ...figures, ...more }).map(([name, value]) => [name, String(value)]),
    ),
  );
  if (partition) {
    const { before, during, after, secondsToHeal, connectMs } = partition;
    console.log(
      `rounds certified before the partition ${before}, during it ${during.larger} by the larger side and ` +
        `${during.smaller} by the smaller, after it ${after}; all at work again after ${secondsToHeal.toFixed(0)} s; ` +
        `fastest TCP connection ${connectMs.toFixed(0)} ms`,
    );
  }
  console.log('largest resident memory of a peer and of an engine, MB');
  console.log(
    formatTable(
      ['up to round', 'peer', 'engine'],
      memory.map(({ round, peerMB, engineMB }) => [String(round), String(peerMB), String(engineMB)]),
    ),
  );
}
