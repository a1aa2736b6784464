/** Lies about others: floods, replays, blind votes, deaf ears. What is forged copies the shape of what was seen. */
import { cidOf } from '@murmuration/base';
import type { ReplicaEvent } from '@murmuration/protocol';
import type { Liar, LiarTools, SimEffect } from './liars.ts';
import type { Lie } from './lies.ts';
import { type Body, type RawStatement, readMessage, signStatement, writeMessage } from './statements.ts';

type Of<Kind extends Lie['kind']> = Extract<Lie, { kind: Kind }>;

/** Messages that a replaying peer remembers. */
const memoryMax = 400;
/** A blind vote follows a proposal within this time. */
const blindVoteMs = 10;
export const secondMs = 1_000;

/** Watches messages come and go. */
export const watch = (
  see: (statement: RawStatement, message: Uint8Array) => void,
): Required<Pick<Liar, 'bend' | 'hears'>> => {
  const read = (message: Uint8Array): void => {
    for (const statement of readMessage(message)) see(statement, message);
  };
  return {
    bend(effects) {
      for (const effect of effects) if (effect.kind === 'publish') read(effect.bytes);
      return effects;
    },
    hears(event) {
      if (event.kind === 'message') read(event.bytes);
      return event;
    },
  };
};

export const publish = (...statements: readonly Uint8Array[]): readonly SimEffect[] =>
  statements.length > 0 ? [{ kind: 'publish', bytes: writeMessage(statements) }] : [];

/** The newest body of each kind that was seen, as a mould. */
export function createMoulds(): { readonly moulds: Map<string, Body> } & Required<
  Pick<Liar, 'bend' | 'hears'>
> {
  const moulds = new Map<string, Body>();
  return { moulds, ...watch(({ kind, body }) => moulds.set(kind, body)) };
}

export function censor({ victims }: Of<'censor'>, { setting }: LiarTools): Liar {
  const ids = victims.map((index) => setting.ids[index] as string);
  const silence: ReplicaEvent = { kind: 'timer', name: 'censored' };
  return {
    hears(event) {
      if (event.kind !== 'message') return event;
      const statements = readMessage(event.bytes);
      const kept = statements.filter(
        ({ kind, body }) => kind !== 'contribution' || !ids.includes(String(body.author)),
      );
      if (kept.length === statements.length) return event;
      return kept.length > 0 ? { ...event, bytes: writeMessage(kept.map(({ bytes }) => bytes)) } : silence;
    },
  };
}

export function spam({ perSecond }: Of<'spam'>, { setting, id, random }: LiarTools): Liar {
  const { moulds, ...ears } = createMoulds();
  const { sign } = setting.keys.componentsOf(id);
  const members = setting.ids.slice(0, setting.scenario.members);
  const farVote = (mould: Body): Uint8Array => {
    const view = Number(mould.view) + 1 + random.below(300);
    return signStatement('vote', { ...mould, voter: id, view, choice: 'skip', block: null }, sign);
  };
  const forgedVote = (mould: Body): Uint8Array => {
    const voter = members[random.below(members.length)];
    return signStatement('vote', { ...mould, voter, choice: 'skip', block: null }, sign);
  };
  const presence = (mould: Body): Uint8Array => signStatement('presence', { ...mould, peer: id }, sign);
  return {
    ...ears,
    habits: [
      {
        everyMs: secondMs / perSecond,
        act() {
          const draw = random.below(3);
          const mould = moulds.get(draw === 2 ? 'presence' : 'vote');
          if (!mould) return [];
          return publish([farVote, forgedVote, presence][draw]?.(mould) as Uint8Array);
        },
      },
    ],
  };
}

/** What each peer said last of where it stands, again and again: so the dead seem to live. */
function replayPresences(perSecond: number): Liar {
  const newest = new Map<unknown, Uint8Array>();
  return {
    ...watch(({ kind, body, bytes }) => {
      if (kind === 'presence') newest.set(body.peer, bytes);
    }),
    habits: [{ everyMs: secondMs / perSecond, act: () => publish(...newest.values()) }],
  };
}

export function replay({ perSecond, what }: Of<'replay'>, { random }: LiarTools): Liar {
  if (what) return replayPresences(perSecond);
  const memory: Uint8Array[] = [];
  return {
    hears(event) {
      if (event.kind !== 'message') return event;
      if (memory.length < memoryMax) memory.push(event.bytes);
      else memory[random.below(memoryMax)] = event.bytes;
      return event;
    },
    habits: [
      {
        everyMs: secondMs / perSecond,
        act: () =>
          memory.length > 0
            ? [{ kind: 'publish', bytes: memory[random.below(memory.length)] as Uint8Array }]
            : [],
      },
    ],
  };
}

export function voteUnseen(_lie: Of<'vote-unseen'>, { setting, id }: LiarTools): Liar {
  const { sign } = setting.keys.componentsOf(id);
  const votes: Uint8Array[] = [];
  const voted = new Set<string>();
  let mould: Body | undefined;
  const { hears } = watch(({ kind, body, attached }) => {
    if (kind === 'vote') mould = body;
    const place = `${body.epoch}/${body.view}`;
    if (kind !== 'proposal' || !mould || voted.has(place)) return;
    voted.add(place);
    const block = cidOf(attached.header as Uint8Array, 'dag-cbor');
    const { epoch, opened, view } = body;
    const vote = { ...mould, epoch, opened, view, choice: 'notarize', block, voter: id };
    votes.push(signStatement('vote', vote, sign));
  });
  return {
    hears,
    bend: (effects, life) =>
      effects.filter((effect) => {
        if (effect.kind !== 'fetch' || effect.purpose !== 'delta') return true;
        const { blob } = effect;
        life.later(1, () => life.handle({ kind: 'blob', blob, outcome: 'held' }));
        return false;
      }),
    habits: [{ everyMs: blindVoteMs, act: () => publish(...votes.splice(0)) }],
  };
}
