import { type PeerId, unitOf } from '@murmuration/base';
import { type AuditedBlock, type ChangeKind, createAudit } from '@murmuration/protocol';
import { hashBytes } from '@murmuration/store';
import type { Command } from 'commander';
import { toString as textOf } from 'uint8arrays/to-string';
import { createAuditView } from '../audit-progress.ts';
import { type ContributionLine, contributionsOf, createSummary, type PeerSummary } from '../contributions.ts';
import { CliError } from '../errors.ts';
import { formatBytes, formatCount } from '../format.ts';
import { openingInWords } from '../opening-in-words.ts';
import { formatTable } from '../table.ts';
import { wholeNumber, withJson, withStore } from './options.ts';

const lastShown = 20;
/** A factor that rounds to 1.000 is not shown. */
const clipShown = 0.9995;

interface LogOptions {
  readonly store: string;
  readonly json: boolean;
  readonly summary: boolean;
  readonly peer?: string;
  readonly from?: number;
  readonly to?: number;
  readonly last?: number;
}

export function addLog(program: Command): void {
  withJson(withStore(program.command('log')))
    .description('the ledger, readable: who contributed what to each certified round, who came and went')
    .option('--peer <id>', 'only what this peer did: its id, or the end of it')
    .option('--from <round>', 'only from this round on', wholeNumber(1, 2 ** 31))
    .option('--to <round>', 'only up to this round', wholeNumber(1, 2 ** 31))
    .option(
      '--last <count>',
      `only the last rounds (${lastShown} unless another choice is made)`,
      wholeNumber(1, 2 ** 31),
    )
    .option('--summary', 'only what each peer did in all', false)
    .addHelpText(
      'after',
      `
Example:
  murmur log --store my-run --from 100 --to 199 --peer Zk3uVw9q

A contribution's weight is its part of the round's mean; clip is the factor by which a long delta was scaled. The ledger
has no clock: a round is all it knows of time. Nothing is verified here; see \`murmur verify\`.`,
    )
    .action(printLog);
}

interface Selection {
  readonly from: number;
  readonly to: number;
  isOf(peer: PeerId): boolean;
}

function selectionOf(options: LogOptions, height: number): Selection {
  const chosen =
    [options.from, options.to, options.peer].some((value) => value !== undefined) || options.summary;
  const last = options.last ?? (chosen ? undefined : lastShown);
  const { peer, from = 1, to = Number.POSITIVE_INFINITY } = options;
  if (to < from)
    throw new CliError(`--to: expected a round from ${from} on, got ${to}`, { code: 'bad-option' });
  return {
    from: last === undefined ? from : Math.max(from, Math.min(to, height) - last + 1),
    to: last === undefined ? to : Math.min(to, height),
    isOf: (one) => peer === undefined || one.endsWith(peer),
  };
}

async function printLog(options: LogOptions): Promise<void> {
  const { openStoredLedger } = await import('@murmuration/peer');
  const source = await openStoredLedger(options.store);
  const view = createAuditView(source.height, options.json);
  try {
    const { run, runId, base } = source;
    const unit = unitOf(run);
    const selection = selectionOf(options, source.height ?? 0);
    const audit = createAudit({ run, runId, base }, { hash: hashBytes, verify: () => true });
    const summary = createSummary();
    for await (const { height, bytes } of source.entries()) {
      if (height > selection.to) break;
      const { audited, fault } = audit.take(bytes);
      if (!audited)
        throw new CliError(`block ${fault.height} does not follow: ${fault.reason}`, {
          code: 'bad-ledger',
          ...fault,
        });
      if (height < selection.from) view.show(height);
      else {
        view.close();
        summary.add(audited);
        if (!options.summary) printBlock(audited, selection, { unit, json: options.json });
      }
    }
    view.close();
    if (options.summary || !options.json)
      printSummary(
        summary.peers().filter(({ peer }) => selection.isOf(peer)),
        { unit, json: options.json },
      );
  } finally {
    view.close();
    await source.close();
  }
}

const short = (peer: PeerId): string => `…${peer.slice(-8)}`;
const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;

const changesInWords: Readonly<Record<ChangeKind, string>> = {
  admit: 'was invited',
  earned: 'has earned membership',
  leave: 'left',
  silent: 'retired: it was silent for too long',
  rekey: 'votes by a new key',
  convict: 'was convicted: it contradicted its own signature',
};

/** What samples are counted in, and whether a script reads it. */
interface Form {
  readonly unit: string;
  readonly json: boolean;
}

function printBlock(audited: AuditedBlock, { isOf }: Selection, { unit, json }: Form): void {
  const { block, nextEpoch, members, voters, signers } = audited;
  const { id, height, epoch, view, proposer } = block;
  const contributions = contributionsOf(audited).filter(({ author }) => isOf(author));
  const changes = audited.changes.filter(({ peer }) => isOf(peer));
  const opening = audited.opening?.signers.some(isOf) ? audited.opening : undefined;
  if (!isOf(proposer) && !opening && contributions.length === 0 && changes.length === 0) return;
  const stateRoot = textOf(block.stateRoot, 'base16');
  if (json) {
    const facts = {
      height,
      epoch,
      view,
      block: id,
      proposer,
      stateRoot,
      signers,
      contributions,
      changes,
      opening,
    };
    console.log(JSON.stringify(facts));
    return;
  }
  console.log(
    `round ${height}  root ${stateRoot.slice(0, 16)}  epoch ${epoch} view ${view}  proposed by ${short(proposer)}`,
  );
  if (opening) console.log(`    reopened ${openingInWords(opening)}`);
  for (const line of contributions) console.log(contributionInWords(line, unit));
  for (const { kind, peer } of changes) console.log(`    ${short(peer)}  ${changesInWords[kind]}`);
  if (changes.length > 0)
    console.log(`    epoch ${nextEpoch} begins: ${members.length} members, ${voters.length} of them vote`);
}

const contributionInWords = (line: ContributionLine, unit: string): string =>
  `    ${short(line.author)}  ${formatCount(line.tokens)} ${unit} in ${line.steps} steps from round ${line.baseHeight}, ` +
  `weight ${percent(line.share)}${line.clip < clipShown ? `, clip ${line.clip.toFixed(3)}` : ''}, ` +
  `loss ${line.loss.toFixed(3)}, ${formatBytes(line.blobBytes)}${line.isMember ? '' : ', guest'}`;

function printSummary(peers: readonly PeerSummary[], { unit, json }: Form): void {
  if (json) {
    for (const peer of peers) console.log(JSON.stringify(peer));
    return;
  }
  if (peers.length === 0) return;
  const rows = peers.map(({ peer, rounds, first, last, tokens, tokensShare, weight, clipped, bytes }) => [
    short(peer),
    String(rounds),
    `${first}–${last}`,
    formatCount(tokens),
    percent(tokensShare),
    percent(weight),
    String(clipped),
    formatBytes(bytes),
  ]);
  const header = ['peer', 'rounds', 'from–to', unit, 'of all', 'weight', 'clipped', 'sent'];
  console.log(`\n${formatTable(header, rows)}`);
}
