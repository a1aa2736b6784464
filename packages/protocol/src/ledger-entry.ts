/** A block on disk and on the ledger protocol: header, contribution list, certificate. */
import { cidOfDigest, decodeCbor, encodeCbor } from '@murmuration/base';
import { equals } from 'uint8arrays/equals';
import type { Announcement, BlockRecord } from './block-record.ts';
import { type Certificate, certificateBody, readCertificate } from './certificate.ts';
import { entryBytesMax } from './defaults.ts';
import { ProtocolError } from './errors.ts';
import { bytesField, bytesListField, readFields, reading } from './fields.ts';
import { decodeHeader, type Header, headerBytesMax } from './header.ts';
import type { BlockId } from './index.ts';
import { encodeOpening, type Opening, parseOpening } from './opening.ts';
import { decodeStatement, type Hash } from './statement.ts';

export interface DecodedEntry {
  readonly id: BlockId;
  readonly header: Header;
  readonly headerBytes: Uint8Array;
  readonly announcements: readonly Announcement[];
  /** Absent when a later entry's certificate covers this block. */
  readonly certificate: Certificate | undefined;
  /** On the first block of an epoch that an opening began: that opening. */
  readonly opening: Opening | undefined;
}

/** The bytes of `{ announcements, certificate, header, opening }`. */
export const encodeEntry = (
  run: Uint8Array,
  record: Pick<BlockRecord, 'announcements' | 'headerBytes' | 'opening' | 'block'>,
  certificate: Certificate | undefined,
): Uint8Array =>
  encodeCbor({
    header: record.headerBytes,
    announcements: record.announcements.map(({ bytes }) => bytes),
    certificate: certificate ? certificateBody(run, certificate) : null,
    opening: record.opening && record.opening.fork !== record.block.id ? encodeOpening(record.opening) : null,
  });

/** Reads an announcement's structure. Throws `ProtocolError` `bad-message`. */
export function decodeAnnouncement(bytes: Uint8Array, run: Uint8Array, hash: Hash) {
  const statement = decodeStatement(bytes, hash);
  if (statement.kind !== 'contribution' || !equals(statement.run, run))
    throw new ProtocolError(`list: expected contributions of this run, got a ${statement.kind}`, {
      code: 'bad-message',
    });
  return statement;
}

/**
 * Reads an entry's structure; rules and signatures are checked by whoever connects it. Throws `ProtocolError`
 * `bad-entry`.
 */
export const decodeEntry = (bytes: Uint8Array, run: Uint8Array, hash: Hash): DecodedEntry =>
  reading('ledger entry', 'bad-entry', () => {
    if (bytes.length > entryBytesMax)
      throw new ProtocolError(`expected at most ${entryBytesMax} bytes, got ${bytes.length}`, {
        code: 'bad-entry',
      });
    const fields = readFields(decodeCbor(bytes), 'entry', [
      'header',
      'announcements',
      'certificate',
      'opening',
    ]);
    const headerBytes = bytesField(fields, 'header', 1, headerBytesMax);
    const { certificate: proof, opening } = fields.values;
    const certificate = proof === null ? undefined : readCertificate(proof);
    if (certificate && !equals(certificate.run, run))
      throw new ProtocolError('certificate of another run', { code: 'bad-entry' });
    return {
      id: cidOfDigest(hash(headerBytes), 'dag-cbor'),
      header: decodeHeader(headerBytes),
      headerBytes,
      announcements: bytesListField(fields, 'announcements', 256).map((announcement) => ({
        contribution: decodeAnnouncement(announcement, run, hash).contribution,
        bytes: announcement,
      })),
      certificate: certificate?.certificate,
      opening: opening === null ? undefined : parseOpening(bytesField(fields, 'opening', 1, entryBytesMax)),
    };
  });
