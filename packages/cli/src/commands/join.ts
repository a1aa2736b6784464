import type { Command } from 'commander';
import { parseRunLink } from '../run-link.ts';
import { type PeerOptions, withPeerOptions } from './options.ts';

export function addJoin(program: Command): void {
  withPeerOptions(program.command('join'))
    .argument('<link>', 'run link that `murmur init` or a member printed')
    .description(
      'enter a run and train on your own data; nothing but compressed parameter changes leaves the machine',
    )
    .addHelpText(
      'after',
      `
Example:
  murmur join 'murmuration://bafk…?peer=/ip4/203.0.113.7/tcp/4150/p2p/12D3KooW…' --data ~/texts

A link with a checkpoint (see \`murmur status --checkpoint\`) starts from there: the ledger before it is not fetched.
Ctrl-C stops cleanly; \`murmur start\` goes on from where the peer was.`,
    )
    .action(async (link: string, options: PeerOptions) => {
      const { runId, peers, invitation, checkpoint } = parseRunLink(link);
      const { runPeer } = await import('../run-peer.ts');
      await runPeer({
        options,
        runId,
        bootstrap: peers,
        ...(invitation ? { invitation } : {}),
        ...(checkpoint ? { checkpoint } : {}),
      });
    });
}
