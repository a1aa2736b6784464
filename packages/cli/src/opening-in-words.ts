import type { AuditedOpening } from '@murmuration/protocol';

/** What became of a stalled epoch, in a line for people. */
export function openingInWords({ height, authority, listed, signers }: AuditedOpening): string {
  const names = (peers: readonly string[]): string => peers.map((peer) => `…${peer.slice(-8)}`).join(' ');
  return authority === 'founders'
    ? `after round ${height} by the founders ${names(signers)} for ${names(listed)}: a reset of trust`
    : `after round ${height} by the survivors ${names(signers)}; their rounds were adopted later`;
}
