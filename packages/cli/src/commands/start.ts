import type { Command } from 'commander';
import { type PeerOptions, withPeerOptions } from './options.ts';

export function addStart(program: Command): void {
  withPeerOptions(program.command('start'))
    .description(
      'start the peer of a folder again (or a founder for the first time), from the last certified round',
    )
    .addHelpText(
      'after',
      `
Example:
  murmur start --store my-run

Data paths and addresses that you gave the last time are remembered.`,
    )
    .action(async (options: PeerOptions) => {
      const { runPeer } = await import('../run-peer.ts');
      await runPeer({ options });
    });
}
