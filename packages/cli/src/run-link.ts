/**
 * A run link is all that a newcomer needs:
 * `murmuration://<run id>?peer=<multiaddr>&peer=…&invitation=<base64url>&checkpoint=<round>.<block id>`.
 * The run id is the hash of the run's settings, so that whoever has the link can check everything else; a checkpoint
 * names a final block that its giver vouches for, so that the ledger before it is not needed.
 */
import { type Cid, DigestError, hasManifest, parseCid, publicKeyOf } from '@murmuration/base';
import type { Checkpoint } from '@murmuration/protocol';
import { CliError } from './errors.ts';

export interface RunLink {
  readonly runId: Cid;
  /** Multiaddrs where members can be reached, most with `/p2p/<peer id>`. */
  readonly peers: readonly string[];
  /** dag-cbor bytes of an invitation. */
  readonly invitation?: Uint8Array;
  readonly checkpoint?: Checkpoint;
}

const scheme = 'murmuration:';
/** A link with 64 signatures and 32 addresses has about 14,000 characters. */
const linkLengthMax = 32_768;
const peersMax = 32;
const multiaddrLengthMax = 512;

const bad = (expected: string, got: string): CliError =>
  new CliError(`run link: expected ${expected}, got ${JSON.stringify(got.slice(0, 100))}`, {
    code: 'bad-link',
    expected,
    got: got.slice(0, 100),
  });

/** Checks a multiaddr's form only; which transports it names is libp2p's business. */
function checkMultiaddr(text: string): string {
  if (text.length > multiaddrLengthMax || !/^(\/[^/?#&\s]+)+$/.test(text))
    throw bad('peer=<multiaddr> such as /ip4/203.0.113.7/tcp/4150/p2p/12D3KooW…', text);
  const peer = /\/p2p\/([^/]+)$/.exec(text)?.[1];
  if (peer !== undefined) checked(() => publicKeyOf(peer), 'an Ed25519 peer id after /p2p/', peer);
  return text;
}

function checked<T>(parse: () => T, expected: string, got: string): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof DigestError) throw bad(expected, got);
    throw error;
  }
}

/** Multiaddrs stay readable: of what they are made of, a query needs nothing encoded but `%`, `+` and the like. */
const inQuery = (text: string): string =>
  encodeURIComponent(text).replaceAll('%2F', '/').replaceAll('%3A', ':');

/** Writes a link that `parseRunLink` reads back. Throws `CliError` `bad-link` for addresses that are no multiaddrs. */
export function formatRunLink({ runId, peers, invitation, checkpoint }: RunLink): string {
  const parts = peers.map((peer) => `peer=${inQuery(checkMultiaddr(peer))}`);
  if (invitation) parts.push(`invitation=${Buffer.from(invitation).toString('base64url')}`);
  if (checkpoint) parts.push(`checkpoint=${formatCheckpoint(checkpoint)}`);
  return `${scheme}//${runId}${parts.length > 0 ? `?${parts.join('&')}` : ''}`;
}

/** Reads a link that somebody pasted. Throws `CliError` `bad-link` that says what was expected and what came. */
export function parseRunLink(text: string): RunLink {
  const link = text.trim();
  const url = link.length <= linkLengthMax && URL.canParse(link) ? new URL(link) : undefined;
  if (url?.protocol !== scheme) throw bad('murmuration://<run id>?peer=<multiaddr>…', link);
  const runId = checked(() => parseCid(url.host), 'a run id (bafk…) after murmuration://', url.host);
  if (hasManifest(runId)) throw bad('a run id (bafkrei…) after murmuration://', runId);
  if (!['', '/'].includes(url.pathname) || url.hash || url.username)
    throw bad('nothing between run id and ?, and no #', link.slice(scheme.length));
  for (const key of url.searchParams.keys())
    if (key !== 'peer' && key !== 'invitation' && key !== 'checkpoint')
      throw bad('only peer=, invitation= and checkpoint= after ?', key);
  const peers = url.searchParams.getAll('peer').map(checkMultiaddr);
  if (peers.length > peersMax) throw bad(`at most ${peersMax} peers`, `${peers.length} peers`);
  const invitations = url.searchParams.getAll('invitation');
  if (invitations.length > 1) throw bad('at most one invitation', `${invitations.length} invitations`);
  const checkpoints = url.searchParams.getAll('checkpoint');
  if (checkpoints.length > 1) throw bad('at most one checkpoint', `${checkpoints.length} checkpoints`);
  const [invitation] = invitations;
  const [checkpoint] = checkpoints;
  return {
    runId,
    peers,
    ...(invitation === undefined ? {} : { invitation: decodeInvitation(invitation) }),
    ...(checkpoint === undefined ? {} : { checkpoint: parseCheckpoint(checkpoint) }),
  };
}

const formatCheckpoint = ({ height, block }: Checkpoint): string => `${height}.${block}`;

function parseCheckpoint(text: string): Checkpoint {
  const [, height = '', block = ''] = /^([1-9]\d{0,9})\.([a-z0-9]+)$/.exec(text) ?? [];
  const expected = 'checkpoint=<round>.<block id> such as 640.bafyrei…';
  if (height === '') throw bad(expected, text);
  const id = checked(() => parseCid(block), expected, text);
  if (!hasManifest(id)) throw bad(expected, text);
  return { height: Number(height), block: id };
}

function decodeInvitation(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length === 0 || bytes.toString('base64url') !== text) throw bad('invitation=<base64url>', text);
  return new Uint8Array(bytes);
}
