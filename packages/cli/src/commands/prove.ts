import { type PeerId, publicKeyOf, unitOf } from '@murmuration/base';
import { createShareProver } from '@murmuration/protocol';
import { hashBytes } from '@murmuration/store';
import type { Command } from 'commander';
import { createAuditView } from '../audit-progress.ts';
import { CliError } from '../errors.ts';
import { formatBytes } from '../format.ts';
import { withJson, withStore } from './options.ts';

interface ProveOptions {
  readonly store: string;
  readonly json: boolean;
  readonly peer: string;
  readonly out?: string;
}

export function addProve(program: Command): void {
  withJson(withStore(program.command('prove')))
    .description("write a file that shows one peer's share of the certified tokens to a third party")
    .requiredOption('--peer <id>', 'whose share: a peer id (12D3KooW…)')
    .option('--out <file>', 'where to write (default: share-<end of the peer id>.proof)')
    .addHelpText(
      'after',
      `
Example:
  murmur prove --store my-run --peer 12D3KooW… --out share.proof
  murmur verify --proof share.proof

The file holds the run's settings, the certificates that lead from its founders to today's voters, and the part of the
last certified state that counts tokens. Whoever has it needs neither the ledger nor the network.`,
    )
    .action(prove);
}

async function prove({ store, json, peer, out }: ProveOptions): Promise<void> {
  const { openStoredLedger } = await import('@murmuration/peer');
  const { checkProofFile, writeProofFile } = await import('../proof-file.ts');
  publicKeyOf(peer);
  const file = out ?? `share-${peer.slice(-8)}.proof`;
  const source = await openStoredLedger(store);
  const view = createAuditView(source.height, json);
  try {
    const { run, runId, base } = source;
    if (base)
      throw new CliError(
        `${store}: a share is proved from the first block on, this ledger begins at a checkpoint`,
        {
          code: 'bad-ledger',
        },
      );
    const prover = createShareProver({ run, runId }, { hash: hashBytes, verify: () => true });
    for await (const { height, bytes } of source.entries()) {
      const fault = prover.take(bytes);
      if (fault)
        throw new CliError(`block ${fault.height} does not follow: ${fault.reason}`, {
          code: 'bad-ledger',
          ...fault,
        });
      view.show(height);
    }
    const proof = prover.prove(peer as PeerId);
    writeProofFile(file, proof);
    const { tokens, tokensOfAll, height } = await checkProofFile(file);
    view.close();
    console.log(
      json
        ? JSON.stringify({ file, bytes: proof.length, peer, tokens, tokensOfAll, height })
        : `wrote ${file} (${formatBytes(proof.length)}): ${tokens} of ${tokensOfAll} certified ${unitOf(run)} up to block ${height}`,
    );
  } finally {
    view.close();
    await source.close();
  }
}
