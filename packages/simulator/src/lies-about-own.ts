/**
 * Lies in what the liar itself has to say: its votes, proposals and presences, bent before they leave and signed anew.
 */
import { type Cid, cidOf, decodeCbor, encodeCbor, type PeerId, type Random, sha256 } from '@murmuration/base';
import { concat } from 'uint8arrays/concat';
import type { Liar, LiarTools, SimEffect } from './liars.ts';
import type { Lie } from './lies.ts';
import { type Body, type RawStatement, readMessage, signStatement, writeMessage } from './statements.ts';

type Of<Kind extends Lie['kind']> = Extract<Lie, { kind: Kind }>;

const randomDigest = (random: Random): Uint8Array => Uint8Array.from({ length: 32 }, () => random.below(256));

/** A name of nothing. */
export const randomCid = (random: Random, codec: 'raw' | 'dag-cbor' = 'raw'): Cid =>
  cidOf(randomDigest(random), codec);

const isOwn = ({ body }: RawStatement, id: PeerId): boolean =>
  [body.voter, body.proposer, body.author, body.peer].includes(id);

/** Changes statements in every message that leaves; one for which `change` gives nothing is left out. */
export function bendStatements(
  effects: readonly SimEffect[],
  change: (statement: RawStatement) => Uint8Array | undefined,
): readonly SimEffect[] {
  return effects.flatMap((effect): readonly SimEffect[] => {
    if (effect.kind !== 'publish' && effect.kind !== 'send') return [effect];
    const statements = readMessage(effect.bytes);
    const changed = statements.map(change).filter((bytes) => bytes !== undefined);
    if (changed.length === 0) return [];
    const isSame =
      changed.length === statements.length &&
      changed.every((bytes, index) => bytes === statements[index]?.bytes);
    return [isSame ? effect : { ...effect, bytes: writeMessage(changed) }];
  });
}

const resign = ({ setting, id }: LiarTools, kind: string, body: Body, attached: Body = {}): Uint8Array =>
  signStatement(kind, body, setting.keys.componentsOf(id).sign, attached);

/** Every second peer of the scenario. */
const half = ({ setting, id }: LiarTools, rest: 0 | 1): PeerId[] =>
  setting.ids.filter((other, index) => other !== id && index % 2 === rest);

/** A proposal: what is signed, and what it stands for. */
interface Proposed {
  readonly body: Body;
  readonly header: Body;
  readonly contributions: readonly Uint8Array[];
}

/** A proposal changed, with the names in its signed body that follow. */
function changeProposal(
  tools: LiarTools,
  { body, attached }: RawStatement,
  change: (proposed: Proposed) => Proposed,
): Uint8Array {
  const changed = change({
    body,
    header: decodeCbor(attached.header as Uint8Array) as Body,
    contributions: attached.contributions as Uint8Array[],
  });
  const header = encodeCbor(changed.header);
  const block = cidOf(header, 'dag-cbor');
  const names = sha256(concat([...changed.contributions]));
  return resign(
    tools,
    'proposal',
    { ...changed.body, block, names },
    { ...attached, header, contributions: changed.contributions },
  );
}

export function equivocate({ what }: Of<'equivocate'>, tools: LiarTools): Liar {
  const { random, id } = tools;
  const second = (statement: RawStatement): Uint8Array => {
    const { kind, body, bytes } = statement;
    if (!isOwn(statement, id)) return bytes;
    if (what === 'proposal' && kind === 'proposal')
      return changeProposal(tools, statement, (proposed) => ({
        ...proposed,
        header: { ...proposed.header, root: randomDigest(random) },
      }));
    if (what === 'notarize' && kind === 'vote' && body.choice === 'notarize')
      return resign(tools, kind, { ...body, block: randomCid(random, 'dag-cbor') });
    if (what === 'finality' && kind === 'vote' && body.choice === 'finalize')
      return resign(tools, kind, { ...body, choice: 'skip', block: null });
    return bytes;
  };
  return {
    bend: (effects) =>
      effects.flatMap((effect): readonly SimEffect[] => {
        if (effect.kind !== 'publish') return [effect];
        const [bent] = bendStatements([effect], second);
        if (!bent || bent === effect || bent.kind !== 'publish') return [effect];
        return [
          { kind: 'send', to: half(tools, 0), bytes: effect.bytes },
          { kind: 'send', to: half(tools, 1), bytes: bent.bytes },
        ];
      }),
  };
}

export function badDelta({ what }: Of<'bad-delta'>, tools: LiarTools): Liar {
  let copied: Body | undefined;
  return {
    hears(event) {
      if (event.kind === 'message')
        for (const { kind, body } of readMessage(event.bytes)) if (kind === 'contribution') copied = body;
      return event;
    },
    bend: (effects) =>
      bendStatements(effects, ({ kind, body, bytes }) => {
        if (kind !== 'contribution' || body.author !== tools.id) return bytes;
        const { blob, blobBytes, norm } = copied ?? body;
        const change = what === 'norm' ? { norm: Number(body.norm) / 2 } : { blob, blobBytes, norm };
        return resign(tools, kind, { ...body, ...change });
      }),
  };
}

export function withholdVotes({ choices }: Of<'withhold-votes'>, { id }: LiarTools): Liar {
  return {
    bend: (effects) =>
      bendStatements(effects, ({ kind, body, bytes }) =>
        kind === 'vote' && body.voter === id && choices.includes(String(body.choice)) ? undefined : bytes,
      ),
  };
}

export function falseHeights({ by }: Of<'false-heights'>, tools: LiarTools): Liar {
  const { rounds } = tools.setting.scenario;
  const raise = (height: unknown): number => Math.min(rounds, Number(height) + by);
  return {
    bend: (effects) =>
      bendStatements(effects, ({ kind, body, bytes }) =>
        kind === 'presence' && body.peer === tools.id
          ? resign(tools, kind, { ...body, head: raise(body.head), final: raise(body.final) })
          : bytes,
      ),
  };
}

/** How each kind of rubbish changes a proposal. */
const spoilt: Readonly<Record<Of<'rubbish'>['what'], (proposed: Proposed, random: Random) => Proposed>> = {
  root: (proposed, random) => ({
    ...proposed,
    header: { ...proposed.header, root: randomDigest(random) },
  }),
  tensors: (proposed, random) => ({
    ...proposed,
    header: { ...proposed.header, tensors: randomCid(random) },
  }),
  list: (proposed, random) => ({
    ...proposed,
    header: { ...proposed.header, list: randomCid(random) },
    contributions: proposed.contributions.map(() => randomDigest(random)),
  }),
  unsorted: (proposed) => ({ ...proposed, contributions: proposed.contributions.toReversed() }),
  execution: (proposed) => proposed,
  unjustified: (proposed) => ({
    ...proposed,
    body: { ...proposed.body, after: Math.max(-1, Number(proposed.body.after) - 1) },
  }),
};

/** One in so many executions of a lying engine is wrong. */
const executionsWrong = 3;

export function rubbish({ what }: Of<'rubbish'>, tools: LiarTools): Liar {
  /** Lists out of order that it serves in place of those in order. */
  const lists = new Map<unknown, Cid>();
  const reorder = (effect: SimEffect): SimEffect => {
    if (effect.kind !== 'serve') return effect;
    const bytes = encodeCbor((decodeCbor(effect.bytes) as Uint8Array[]).toReversed());
    lists.set(effect.blob, cidOf(bytes));
    return { ...effect, blob: cidOf(bytes), bytes };
  };
  const spoil = (statement: RawStatement): Uint8Array | undefined => {
    const { kind, body, bytes } = statement;
    if (what === 'unjustified' && kind === 'certificate') return undefined;
    if (kind !== 'proposal' || body.proposer !== tools.id) return bytes;
    return changeProposal(tools, statement, (proposed) => {
      const { header, ...rest } = spoilt[what](proposed, tools.random);
      return { ...rest, header: { ...header, list: lists.get(header.list) ?? header.list } };
    });
  };
  if (what === 'execution')
    return {
      hears: (event) =>
        event.kind === 'executed' && tools.random.below(executionsWrong) === 0
          ? { ...event, tensors: randomCid(tools.random) }
          : event,
    };
  return {
    bend: (effects) => bendStatements(what === 'unsorted' ? effects.map(reorder) : effects, spoil),
  };
}
