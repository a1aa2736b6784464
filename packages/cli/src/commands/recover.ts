import type { Command } from 'commander';
import { type RecoveryPlan, recover } from '../recover.ts';
import { confirm } from '../terminal.ts';
import { collect, withJson, withStore } from './options.ts';

interface RecoverCommandOptions {
  readonly store: string;
  readonly json: boolean;
  readonly yes: boolean;
  readonly keep?: readonly string[];
}

const explain = ({ round, listed, dropped, needed, signed, overtaken }: RecoveryPlan): string => `
This reopens the run after round ${round}, without a vote of its members.
  who goes on    ${listed.join('\n                 ')}
  who is dropped ${dropped.join('\n                 ') || 'nobody'}
                 (dropped members become guests; what they contributed stays)
  who must sign  ${needed} founders; ${signed.length} have
It is a reset of trust: the rounds up to ${round} stay as they are, from there on everybody relies on the founders
that no other history goes on from an earlier round. Rounds above ${round} that somebody else may have are given up.
The ledger shows for ever that the founders did this, and who. Do it when the missing members will not come back, not
while they might.
${
  overtaken === undefined
    ? ''
    : `
This founder has signed an opening after round ${overtaken} before. The run has gone on since, so nothing
came of it: this one replaces it, and nobody should sign that one any more.
`
}`;

export function addRecover(program: Command): void {
  withJson(withStore(program.command('recover')))
    .argument('[opening]', "what another founder's `murmur recover` printed; without it a new one is made")
    .description(
      'as a founder, reopen a run that has lost its quorum: it takes more than two thirds of the founders',
    )
    .option(
      '--keep <peer id>',
      'a member who goes on, for a new opening; may be repeated (default: all)',
      collect,
    )
    .option('--yes', 'do not ask', false)
    .addHelpText(
      'after',
      `
Stop the peer of this folder first. The founders sign one after another, on their own machines: each gives what was
printed to the next. The last one's peer tells the others when it is started again.`,
    )
    .action(async (opening: string | undefined, { store, json, yes, keep }: RecoverCommandOptions) => {
      const done = await recover({
        directory: store,
        ...(opening !== undefined && { opening }),
        ...(keep && { listed: keep }),
        async confirm(plan) {
          console.error(explain(plan));
          return yes || (await confirm('Sign this? [y/N] '));
        },
      });
      if (json) {
        console.log(JSON.stringify(done));
        return;
      }
      console.log(done.opening);
      console.error(
        done.isComplete
          ? 'complete: start this peer (`murmur start`), it tells the others'
          : `${done.signed.length} of ${done.needed} founders have signed; give this to the next one`,
      );
    });
}
