/** Reads a peer's folder without touching it, while its peer runs or just after it was killed. */
import { runDigest, sha256 } from '@murmuration/base';
import { openStore } from '@murmuration/store';
import { toString as textOf } from 'uint8arrays/to-string';
import { decodeEntry } from '../../../protocol/src/ledger-entry.ts';
import type { Ledgers, Round } from './ledgers.ts';
import type { Witness } from './witness.ts';

const pageLength = 256;

/**
 * Tells the witness what the folder's peer signed, the ledgers what it certified; returns its ledger from `fromHeight`.
 */
export function readFolder(
  directory: string,
  place: string,
  { witness, ledgers }: { readonly witness: Witness; readonly ledgers: Ledgers },
  fromHeight = 1,
): Round[] {
  const store = openStore({ directory, readOnly: true });
  try {
    const { runId } = store;
    if (!runId) return [];
    for (const { key, bytes } of store.records()) witness.readRecord(key, bytes, place);
    const rounds: Round[] = [];
    for (let height = Math.max(fromHeight, store.firstHeight() ?? 1); ; ) {
      const entries = store.entries(height, pageLength);
      if (entries.length === 0) return rounds;
      for (const { bytes } of entries) {
        const { id, header, certificate } = decodeEntry(bytes, runDigest(runId), sha256);
        const round = { height: header.height, block: id, root: textOf(header.root, 'base16') };
        if (certificate) witness.hearCertificate(certificate, place);
        ledgers.show(round.height, round.root);
        rounds.push(round);
      }
      height += entries.length;
    }
  } finally {
    store.close();
  }
}
