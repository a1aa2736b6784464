import type { PeerEvent } from '@murmuration/peer';
import { formatBytes } from '../format.ts';
import { languageName } from './defaults.ts';

/** Events that a spectator wants in words; those that every peer reports are told once, by the first. */
export function wordsFor(event: PeerEvent, language: string, isFirst: boolean): string | undefined {
  const peer = `the ${languageName(language)} peer`;
  switch (event.kind) {
    case 'opened':
      return event.restored ? `${peer} is back, at round ${event.head} of its checkpoint` : undefined;
    case 'installed':
      return `${peer} downloaded and verified the state of round ${event.round}: ${formatBytes(event.bytes)}`;
    case 'engine-restarted':
      return `${peer} started its engine again: ${event.reason}`;
    case 'admitted':
      return isFirst ? `the invited peer is a member from epoch ${event.epoch} on` : undefined;
    case 'skipped':
      return isFirst ? `view ${event.view} was skipped: its proposer did not answer` : undefined;
    default:
      return undefined;
  }
}
