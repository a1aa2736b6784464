/** Lies of those who are asked: blobs that never come, ledgers and states that are not the run's, deltas of nobody. */
import {
  type Cid,
  cidOfDigest,
  decodeCbor,
  digestOfCid,
  encodeCbor,
  nameBlob,
  type PeerId,
  publicKeyOf,
  sha256,
} from '@murmuration/base';
import { decodeDelta, deltaNorm, encodeDelta } from '@murmuration/delta';
import type { Liar, LiarTools } from './liars.ts';
import type { Lie } from './lies.ts';
import { randomCid } from './lies-about-own.ts';
import { createMoulds, publish, secondMs } from './lies-at-large.ts';
import { drawVector } from './run.ts';
import { type Body, signStatement } from './statements.ts';

type Of<Kind extends Lie['kind']> = Extract<Lie, { kind: Kind }>;

/** Free identities have indices far from those of real peers. */
const phantomIndex = 1_000_000;

export function withholdBlobs({ only, afterMs }: Of<'withhold-blobs'>): Liar {
  return { serves: (_blob, to) => (to.index === only ? 0 : afterMs) };
}

/**
 * Another history from some block on: the same work, another proposer, each block on the one before it, under the
 * certificates of the real ones, in which the block's name is replaced.
 */
export function forkLedger(_lie: Of<'fork-ledger'>, { id }: LiarTools): Liar {
  const renamed = new Map<unknown, Cid>();
  const fork = (bytes: Uint8Array): Uint8Array => {
    const entry = decodeCbor(bytes) as Body;
    const header = decodeCbor(entry.header as Uint8Array) as Body;
    const forged = encodeCbor({
      ...header,
      proposer: id,
      parent: renamed.get(header.parent) ?? header.parent,
    });
    const name = (of: Uint8Array): Cid => cidOfDigest(sha256(of), 'dag-cbor');
    renamed.set(name(entry.header as Uint8Array), name(forged));
    const certificate = entry.certificate && { ...entry.certificate, block: name(forged) };
    return encodeCbor({ ...entry, header: forged, certificate: certificate ?? null });
  };
  return {
    entries: (entries) => entries.map((entry) => ({ ...entry, bytes: fork(entry.bytes) })),
    state: (values) => values.map((value) => value + 1),
  };
}

/** A delta of somebody that trains nothing: random, but valid. */
function phantomDelta({ setting, random }: LiarTools, author: PeerId, base: Cid) {
  const { parameters } = setting.scenario;
  const header = { runDigest: setting.runDigest, base: digestOfCid(base), author: publicKeyOf(author) };
  const { k, bits } = setting.run.delta;
  const bytes = encodeDelta(drawVector(parameters, random), header, { k, bits });
  const { delta } = decodeDelta(bytes, { parameters, expected: header });
  return { bytes, said: { blob: nameBlob(bytes).cid, blobBytes: bytes.length, norm: deltaNorm(delta) } };
}

export function phantoms({ perSecond, identities, serves }: Of<'phantoms'>, tools: LiarTools): Liar {
  const { setting, random, index } = tools;
  const { moulds, ...ears } = createMoulds();
  const made = new Set<Cid>();
  let sequence = 0;
  return {
    ...ears,
    serves: (blob, to) => {
      if (!made.has(blob) || to.index === serves?.only) return 0;
      return serves?.afterMs;
    },
    habits: [
      {
        everyMs: secondMs / perSecond,
        act({ peer, replica }) {
          const mould = moulds.get('contribution');
          if (!mould) return [];
          const author = setting.keys.idOf(phantomIndex * (index + 1) + random.below(identities));
          const { block, height } = replica.view.head;
          const { bytes, said } = phantomDelta(tools, author, block);
          const blob = serves ? said.blob : randomCid(random);
          if (serves) {
            peer.disk.blobs.set(blob, { bytes, height });
            made.add(blob);
            setting.network.answerFor(author, peer);
          }
          const based = { base: block, baseHeight: height, sequence: ++sequence };
          const body = { ...mould, ...said, ...based, author, blob };
          return publish(signStatement('contribution', body, setting.keys.componentsOf(author).sign));
        },
      },
    ],
  };
}
