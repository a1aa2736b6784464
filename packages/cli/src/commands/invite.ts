import type { InvitedRole } from '@murmuration/protocol';
import { type Command, Option } from 'commander';
import { invite } from '../invite.ts';
import { wholeNumber, withJson, withStore } from './options.ts';

interface InviteCommandOptions {
  readonly store: string;
  readonly json: boolean;
  readonly link: string;
  readonly expires?: number;
  readonly role: InvitedRole;
  readonly uses: number;
}

export function addInvite(program: Command): void {
  withJson(withStore(program.command('invite')))
    .argument('<peer id>', "the newcomer's id, as `murmur id` prints it")
    .description('as a founder, sign an invitation that makes a newcomer a member; prints the link to send')
    .requiredOption('--link <link>', 'the run link; one with an invitation gets one more signature')
    .option('--expires <round>', 'last round at which it may be used', wholeNumber(1, 2 ** 31))
    .addOption(
      new Option('--role <role>', 'a member votes; the work of a guest is fetched before that of strangers')
        .choices(['member', 'guest'])
        .default('member'),
    )
    .option('--uses <count>', 'how often it may be used, after leaving again', wholeNumber(1, 1_000), 1)
    .action(async (guest: string, { store, json, link, expires, role, uses }: InviteCommandOptions) => {
      const terms = { role, uses, ...(expires ? { expires } : {}) };
      const invited = await invite({ directory: store, guest, link, ...terms });
      if (json) console.log(JSON.stringify(invited));
      else {
        console.log(invited.link);
        if (invited.signatures < invited.needed)
          console.error(
            `${invited.signatures} of ${invited.needed} founders have signed; send it to the next founder`,
          );
      }
    });
}
