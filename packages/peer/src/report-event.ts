import type { PeerId } from '@murmuration/base';
import type { Report } from '@murmuration/protocol';
import { toString as toText } from 'uint8arrays/to-string';
import type { PeerEvent } from './index.ts';

const hex = (bytes: Uint8Array): string => toText(bytes, 'base16');

/** What a person is told of a replica's report; `undefined` when another event tells it already. */
export function eventOfReport(report: Report, self: PeerId): PeerEvent | undefined {
  switch (report.kind) {
    case 'certified': {
      const authors = report.contributions.map(({ author }) => author);
      const stateRoot = hex(report.stateRoot);
      return { kind: 'certified', round: report.height, authors, stateRoot, own: authors.includes(self) };
    }
    case 'ended':
      return { kind: 'ended', round: report.height, stateRoot: hex(report.stateRoot) };
    case 'diverged': {
      const { height, again, expected, computed } = report;
      return { kind: 'diverged', round: height, again, expected: hex(expected), computed: hex(computed) };
    }
    case 'conflict': {
      const { height, ours, theirs, from } = report;
      return { kind: 'conflict', round: height, ours, theirs, from };
    }
    case 'skipped':
    case 'admitted':
    case 'retired':
    case 'convicted':
      return report;
    case 'recovery':
      return { ...report, round: report.height };
    case 'provisional':
    case 'contribution':
    case 'forgotten':
    case 'expired':
      return undefined;
  }
}
