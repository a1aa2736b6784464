import { decodeRunConfig, type PeerId, publicKeyOf } from '@murmuration/base';
import { createInvitation, type InvitedRole, parseInvitation, signInvitation } from '@murmuration/protocol';
import { openStore } from '@murmuration/store';
import { CliError } from './errors.ts';
import { formatRunLink, parseRunLink } from './run-link.ts';

export interface InviteOptions {
  /** Folder of a founder; its peer may be running. */
  readonly directory: string;
  readonly guest: string;
  /** Run link to put the invitation into; one that carries this guest's invitation gets one more signature. */
  readonly link: string;
  /** Last round at which the invitation may be used; absent: the run's last. */
  readonly expires?: number;
  /** `member` (the default) votes; the work of a `guest` is fetched before that of strangers. */
  readonly role?: InvitedRole;
  /** How often it may be used, default 1: a peer that has left may come back. */
  readonly uses?: number;
}

export interface InvitedLink {
  readonly link: string;
  /** Founders who have signed, and how many must. */
  readonly signatures: number;
  readonly needed: number;
}

/** Signs (or countersigns) an invitation bound to one peer id, and puts it into the run link. */
export async function invite(options: InviteOptions): Promise<InvitedLink> {
  const { directory, guest, link, expires, role = 'member', uses = 1 } = options;
  publicKeyOf(guest);
  const { invitation, ...place } = parseRunLink(link);
  const { runId } = place;
  const store = openStore({ directory, readOnly: true });
  try {
    if (store.runId !== runId)
      throw new CliError(`the link is for run ${runId}, ${directory} belongs to ${store.runId ?? 'none'}`, {
        code: 'bad-link',
      });
    const settings = await store.getBlob(runId);
    const run = settings && decodeRunConfig(settings);
    const { identity } = store;
    if (!run?.founders.includes(identity.peer))
      throw new CliError(`expected the folder of a founder, ${directory} is that of ${identity.peer}`, {
        code: 'bad-option',
      });
    const unsigned =
      invitation ??
      createInvitation({
        runId,
        guest: guest as PeerId,
        role,
        expires: expires ?? run.rounds,
        uses,
      });
    const earlier = parseInvitation(unsigned);
    if (earlier.guest !== guest)
      throw new CliError(`the link carries an invitation for ${earlier.guest}, not for ${guest}`, {
        code: 'bad-link',
      });
    const signed = signInvitation(unsigned, identity.peer, (bytes) => identity.sign(bytes));
    return {
      link: formatRunLink({ ...place, invitation: signed }),
      signatures: parseInvitation(signed).signatures.length,
      needed: run.invitationSignatures,
    };
  } finally {
    store.close();
  }
}
