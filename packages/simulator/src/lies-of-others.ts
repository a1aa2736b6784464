/** False accusations: what looks like evidence against honest peers and is none. */
import { decodeCbor, encodeCbor } from '@murmuration/base';
import type { Liar, LiarTools } from './liars.ts';
import type { Lie } from './lies.ts';
import { randomCid } from './lies-about-own.ts';
import { publish, secondMs, watch } from './lies-at-large.ts';
import type { Body } from './statements.ts';

/** A signed statement without what travels beside it. */
interface Deed {
  readonly kind: string;
  readonly body: Body;
  readonly signature: Uint8Array;
}

type Pair = readonly [Deed, Deed] | undefined;

/** Votes that an accuser remembers. */
const votesMax = 200;

/** What each kind of accuser finds among the votes that it has seen: two of one honest peer. */
const findPair: Readonly<
  Record<Extract<Lie, { kind: 'accuse' }>['what'], (votes: readonly Deed[], tools: LiarTools) => Pair>
> = {
  forged(votes, { random }) {
    const vote = votes.findLast(({ body }) => body.choice !== 'skip');
    if (!vote) return undefined;
    const signature = Uint8Array.from(vote.signature, () => random.below(256));
    return [vote, { ...vote, body: { ...vote.body, block: randomCid(random, 'dag-cbor') }, signature }];
  },
  replayed(votes) {
    const vote = votes.at(-1);
    const other = votes.find(
      ({ body }) =>
        vote &&
        body.voter === vote.body.voter &&
        body.view === vote.body.view &&
        body.opened === vote.body.opened &&
        body.choice !== vote.body.choice,
    );
    return vote && [vote, other ?? vote];
  },
  'cross-epoch'(votes) {
    for (const first of votes.toReversed()) {
      const { voter, view, choice, opened } = first.body;
      const second = votes.find(
        ({ body }) =>
          body.voter === voter && body.view === view && body.choice === choice && body.opened !== opened,
      );
      if (second) return [first, second];
    }
    return undefined;
  },
};

const precedes = (a: Uint8Array, b: Uint8Array): boolean => {
  const at = a.findIndex((byte, index) => byte !== b[index]);
  return at >= 0 && (a[at] as number) < (b[at] ?? -1);
};

export function accuse({ what, perSecond }: Extract<Lie, { kind: 'accuse' }>, tools: LiarTools): Liar {
  const { setting } = tools;
  const accused = new Set<unknown>(setting.ids.filter((id) => id !== tools.id));
  const votes: Deed[] = [];
  const { hears } = watch(({ kind, body, bytes }) => {
    if (kind !== 'vote' || !accused.has(body.voter)) return;
    const { signature } = decodeCbor(bytes) as Deed;
    votes.push({ kind, body, signature });
    if (votes.length > votesMax) votes.shift();
  });
  return {
    hears,
    habits: [
      {
        everyMs: secondMs / perSecond,
        act(life) {
          const pair = findPair[what](votes, tools);
          if (!pair) return [];
          const [a, b] = pair;
          const [first, second] = precedes(encodeCbor(a), encodeCbor(b)) ? [a, b] : [b, a];
          const { run, voter: peer } = a.body;
          life.setting.judge.performed(`accuse ${what}`);
          return publish(encodeCbor({ kind: 'evidence', body: { run, peer, first, second, rekey: null } }));
        },
      },
    ],
  };
}
