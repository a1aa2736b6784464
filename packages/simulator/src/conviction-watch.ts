/**
 * Who contradicts itself must be convicted (G5). This watch reads what liars say as honest peers hear it, and decides
 * by itself what is a contradiction that one of them could see: two signed statements of one view that conflict, both
 * heard in one life of a process, the first before that view was over there. Somebody's ledger must then convict before
 * the run ends, unless too few rounds are left; where the ledgers are equal at the end, all convict.
 */
import type { PeerId } from '@murmuration/base';
import type { Keys } from './keys.ts';
import type { Life } from './life.ts';
import type { SimPeer } from './peer.ts';
import type { Scenario } from './scenario.ts';
import { isSignedBy, type RawStatement, readMessage } from './statements.ts';

export interface ConvictionWatch {
  /** A message came to an honest peer. */
  heard(peer: SimPeer, message: Uint8Array): void;
  /** Complains of liars that should have been convicted in a run of so many certified rounds. */
  weigh(convicted: ReadonlyMap<string, unknown>, finalHeight: number): void;
  /** Liars that contradicted themselves in time. */
  readonly due: ReadonlySet<string>;
}

/**
 * What is said of views so near to a peer's own is compared, as far as it was kept: what was said of a view that was
 * not over then. Of earlier views too little may be kept, later ones are not.
 */
const viewsBehind = 2;
const viewsAhead = 16;
/** Evidence reaches everybody within a round, and enters a block whose parent is final; its proposer may be a liar. */
const roundsToConvict = 4;

const acts = ['propose', 'notarize', 'finalize', 'skip'] as const;

interface Deed {
  readonly signer: string;
  readonly place: string;
  readonly view: number;
  readonly epoch: number;
  readonly act: (typeof acts)[number];
  /** What it is for. */
  readonly what: string;
}

function deedOf({ kind, body }: RawStatement): Deed | undefined {
  if (kind !== 'vote' && kind !== 'proposal') return undefined;
  const { epoch, opened, view, block, choice, after } = body;
  const place = { place: `${epoch} ${opened} ${view}`, view: Number(view), epoch: Number(epoch) };
  return kind === 'vote'
    ? { ...place, signer: String(body.voter), act: choice as Deed['act'], what: String(block) }
    : { ...place, signer: String(body.proposer), act: 'propose', what: `${block} ${after} ${body.names}` };
}

const conflicts = (a: Deed, b: Deed): boolean =>
  a.act === b.act ? a.what !== b.what : [a.act, b.act].sort().join() === 'finalize,skip';

interface Hearing {
  /** Near enough for this process that it compares the statement with what it has kept. */
  readonly isCompared: boolean;
  /** It keeps the statement: the view is not over, or it was just notarized or skipped after the newest final block. */
  readonly isKept: boolean;
}

function hearingOf({ replica: { view } }: Life, { epoch, view: of }: Deed): Hearing {
  const ahead = of - view.view;
  const isNow = view.phase === 'running' && !view.recovery && epoch === view.epoch && ahead <= viewsAhead;
  return {
    isCompared: isNow && ahead >= -viewsBehind,
    isKept: isNow && (ahead >= 0 || (ahead === -1 && view.head.height > view.final.height)),
  };
}

export function createConvictionWatch(
  complain: (problem: string) => void,
  { members, liars }: Scenario,
  keys: Keys,
): ConvictionWatch {
  const founders = liars.filter(({ peer }) => peer < members).map(({ peer }) => keys.idOf(peer));
  const suspects = new Set<string>(founders);
  const { verify } = keys.componentsOf(keys.idOf(0));
  const said = new WeakMap<Life, Map<string, Deed[]>>();
  const firstDue = new Map<
    string,
    { readonly height: number; readonly peer: number; readonly place: string }
  >();
  const note = (peer: SimPeer, life: Life, deed: Deed, isKept: boolean): void => {
    const places = said.get(life) ?? new Map<string, Deed[]>();
    said.set(life, places);
    const key = `${deed.signer} ${deed.place}`;
    const others = places.get(key) ?? [];
    const isKnown = others.some(({ act, what }) => act === deed.act && what === deed.what);
    if (isKept && !isKnown) places.set(key, [...others, deed]);
    if (firstDue.has(deed.signer) || !others.some((other) => conflicts(other, deed))) return;
    const { height } = life.replica.view.final;
    firstDue.set(deed.signer, {
      height,
      peer: peer.index,
      place: `view ${deed.view} of epoch ${deed.epoch}`,
    });
  };
  return {
    heard(peer, message) {
      const { life } = peer;
      if (!life || suspects.size === 0) return;
      for (const statement of readMessage(message)) {
        const deed = deedOf(statement);
        if (!deed || !suspects.has(deed.signer)) continue;
        const { isCompared, isKept } = hearingOf(life, deed);
        if (isCompared && isSignedBy(statement, deed.signer as PeerId, verify))
          note(peer, life, deed, isKept);
      }
    },
    weigh(convicted, finalHeight) {
      for (const [liar, { height, peer, place }] of firstDue)
        if (!convicted.has(liar) && height + roundsToConvict <= finalHeight)
          complain(`G5: ${liar} contradicts itself before peer ${peer} in ${place} and is not convicted`);
    },
    get due() {
      return new Set(firstDue.keys());
    },
  };
}
