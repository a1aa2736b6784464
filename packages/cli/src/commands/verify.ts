import { unitOf } from '@murmuration/base';
import type { LedgerSource, LedgerVerdict } from '@murmuration/peer';
import { processUsing } from '@murmuration/store';
import type { Command } from 'commander';
import { createAuditView } from '../audit-progress.ts';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { formatCount } from '../format.ts';
import { openingInWords } from '../opening-in-words.ts';
import { parseRunLink } from '../run-link.ts';
import { withJson, withStore } from './options.ts';

interface VerifyOptions {
  readonly store: string;
  readonly json: boolean;
  readonly from?: string;
  readonly proof?: string;
  readonly parameters: boolean;
  readonly mdns: boolean;
}

export function addVerify(program: Command): void {
  withJson(withStore(program.command('verify')))
    .description('replay a ledger from its first block: signatures, certificates, and the parameters')
    .option(
      '--from <link>',
      'the ledger of this run, downloaded from the peers of its link, instead of a folder',
    )
    .option(
      '--proof <file>',
      'check a file of `murmur prove` instead; with --from also that it is of that run',
    )
    .option('--no-parameters', 'do not compute the parameters from the deltas')
    .option('--no-mdns', 'with --from: do not look for peers on the local network')
    .addHelpText(
      'after',
      `
Examples:
  murmur verify --store my-run             also while its peer runs
  murmur verify --from 'murmuration://bafk…?peer=/ip4/203.0.113.7/tcp/4150/p2p/12D3KooW…'
  murmur verify --proof share.proof

Every block must follow from the one before. Where the deltas are kept (by an --archive peer, all of them) the
parameters are computed again from the first round on; where they were pruned, from a snapshot that is kept, and what
came before rests on the members' certificates. Exit code 1: a block does not follow.`,
    )
    .action(async (options: VerifyOptions) => {
      if (options.proof !== undefined) await verifyProof(options.proof, options);
      else await verifyChain(options);
    });
}

async function openSource({ store, from, mdns }: VerifyOptions): Promise<LedgerSource> {
  const { openRemoteLedger, openStoredLedger } = await import('@murmuration/peer');
  if (from === undefined) return openStoredLedger(store);
  const { runId, peers } = parseRunLink(from);
  return openRemoteLedger({ runId, peers, mdns });
}

async function verifyChain(options: VerifyOptions): Promise<void> {
  const { verifyLedger } = await import('@murmuration/peer');
  const grows = options.from !== undefined || processUsing(options.store) !== undefined;
  const source = await openSource(options);
  const view = createAuditView(source.height, options.json);
  try {
    const verdict = await verifyLedger(source, {
      replay: options.parameters,
      onProgress: ({ height }) => view.show(height),
    });
    view.close();
    tell(source, withLooseEnd(verdict, grows), options);
  } finally {
    view.close();
    await source.close();
  }
}

/** A ledger that still grows may end with blocks whose certificate is on its way; one that lies still may not. */
function withLooseEnd(verdict: LedgerVerdict, grows: boolean): LedgerVerdict {
  if (verdict.fault || verdict.uncovered === 0 || grows) return verdict;
  const reason =
    'no certificate covers it; if its peer was stopped at once, start it again: it asks the others for the certificate';
  return { ...verdict, fault: { height: verdict.height + 1, reason } };
}

/** Which blocks' parameters were computed, in words. */
function replayedInWords({ replayed, height, checkpoint }: LedgerVerdict): string {
  if (replayed.length === 0) return 'not computed: they rest on certificates';
  const ranges = replayed.map(
    ({ from, to, base }) =>
      `computed from the deltas for blocks ${from} to ${to}${base === 0 ? '' : `, from the snapshot of block ${base}`}`,
  );
  const isWhole = replayed[0]?.from === checkpoint + 1 && (replayed[0]?.to ?? 0) >= height;
  return `${ranges.join('; ')}${isWhole ? '' : '; all others rest on certificates, their deltas were pruned'}`;
}

function tell(source: LedgerSource, verdict: LedgerVerdict, { json, parameters }: VerifyOptions): void {
  const { fault, checkpoint, height, stateRoot, epoch, members, tokens, uncovered, replayed, openings } =
    verdict;
  if (fault) process.exitCode = exitCodes.failure;
  if (json) {
    const facts = {
      checkpoint,
      height,
      stateRoot,
      epoch,
      members,
      tokens,
      uncovered,
      replayed,
      openings,
      fault: fault ?? null,
    };
    console.log(JSON.stringify({ run: source.runId, follows: !fault, ...facts }));
    return;
  }
  console.log(`run         ${source.run.name}, ${source.runId}`);
  if (checkpoint > 0)
    console.log(
      `begins      after block ${checkpoint}, the checkpoint of a link: what was before it is not checked`,
    );
  if (height > checkpoint)
    console.log(
      `members     ${members.length} in epoch ${epoch}\ncertified   ${formatCount(tokens)} ${unitOf(source.run)}`,
    );
  for (const opening of openings) console.log(`reopened    ${openingInWords(opening)}`);
  if (parameters && height > checkpoint) console.log(`parameters  ${replayedInWords(verdict)}`);
  if (uncovered > 0 && !fault)
    console.log(`(${uncovered} more, which no certificate covers yet, are not counted)`);
  console.log(
    fault
      ? `block ${fault.height} does not follow: ${fault.reason}`
      : `all ${height - checkpoint} blocks follow; state root ${stateRoot}`,
  );
}

async function verifyProof(file: string, { json, from }: VerifyOptions): Promise<void> {
  const { checkProofFile } = await import('../proof-file.ts');
  const { run, runId, peer, standing, tokens, tokensOfAll, height, epoch, stateRoot } =
    await checkProofFile(file);
  const expected = from === undefined ? undefined : parseRunLink(from).runId;
  if (expected !== undefined && expected !== runId)
    throw new CliError(`${file}: expected a share of run ${expected}, found one of run ${runId}`, {
      code: 'other-run',
      expected,
      got: runId,
    });
  const share = tokensOfAll === 0 ? 0 : tokens / tokensOfAll;
  if (json) {
    console.log(
      JSON.stringify({ run: runId, peer, standing, tokens, tokensOfAll, share, height, epoch, stateRoot }),
    );
    return;
  }
  console.log(`run         ${run.name}, ${runId}${expected ? '' : ' (compare this with the id in your link)'}
peer        ${peer}, a ${standing}
share       ${tokens} of ${tokensOfAll} certified ${unitOf(run)} (${(100 * share).toFixed(2)} %)
up to       block ${height} of ${run.rounds}, epoch ${epoch}, state root ${stateRoot}`);
}
