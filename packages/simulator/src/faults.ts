/** Plans the faults of a scenario into its world. */
import type { PeerId } from '@murmuration/base';
import { createOpening, signOpening } from '@murmuration/protocol';
import { copyDisk } from './disk.ts';
import { drawMs } from './distribution.ts';
import type { Setting, SimPeer } from './peer.ts';
import type { Fault } from './scenario.ts';
import { aheadIn } from './trained.ts';

type Of<Kind extends Fault['kind']> = Extract<Fault, { kind: Kind }>;
type Planners = {
  readonly [Kind in Fault['kind']]: (fault: Of<Kind>, setting: Setting, peers: readonly SimPeer[]) => void;
};

const peersOf = (peers: readonly SimPeer[], index: number): readonly SimPeer[] =>
  peers.filter((peer) => peer.index === index);

/** Founders look so often whether they know the same block as final. */
const reopeningStepMs = 1_000;

function reopening(fault: Of<'reopening'>, setting: Setting, peers: readonly SimPeer[]): void {
  const { world, keys, runId, ids } = setting;
  const named = (indices: readonly number[]): PeerId[] => indices.map((index) => ids[index] as PeerId);
  const attempt = (): void => {
    const founders = fault.founders.flatMap((index) => peersOf(peers, index));
    const views = founders.map(({ life }) => life?.replica.view);
    const [view] = views;
    if (!view || views.some((other) => other?.final.block !== view.final.block)) {
      world.after(reopeningStepMs, attempt);
      return;
    }
    const { final, opens, rekeys } = view;
    const terms = { runId, fork: final.block, height: final.height, ...opens, attempt: 0 };
    const listed = named(fault.listed);
    const unsigned = createOpening({ ...terms, listed, rekeys, authority: 'founders' });
    const opening = named(fault.founders).reduce(
      (bytes, founder) => signOpening(bytes, founder, keys.componentsOf(founder).sign),
      unsigned,
    );
    founders[0]?.handle({ kind: 'opening', opening });
  };
  world.after(fault.atMs, attempt);
}

const planners: Planners = {
  partition({ untilMs }, { world, network }, peers) {
    if (untilMs !== undefined) world.after(untilMs, () => peers.forEach(network.join));
  },
  crash(fault, _setting, peers) {
    for (const peer of peersOf(peers, fault.peer)) peer.crashes.set(fault.effect, fault);
  },
  crashes({ peers: indices, everyEffects, times, down }, _setting, peers) {
    for (const peer of peers.filter(({ index }) => indices.includes(index))) {
      const random = peer.random.fork('crashes');
      let effect = 0;
      for (let time = 0; time < times; time++) {
        effect += drawMs(everyEffects, random);
        const downMs = drawMs(down, random);
        peer.crashes.set(effect, { kind: 'crash', peer: peer.index, effect, downMs });
      }
    }
  },
  away({ peer: index, fromMs, untilMs }, { world, trace }, peers) {
    for (const peer of peersOf(peers, index)) {
      if (untilMs !== undefined) world.after(untilMs, peer.start);
      world.after(fromMs, () => {
        peer.isGone = untilMs === undefined;
        peer.kill();
        if (peer.isGone) trace?.note(index, 'vanish');
      });
    }
  },
  pause({ peer: index, fromMs, untilMs }, { world, trace }, peers) {
    for (const peer of peersOf(peers, index)) {
      world.after(fromMs, () => {
        peer.pausedUntilMs = untilMs;
        trace?.note(index, 'pause');
      });
      world.after(untilMs, () => peer.handle({ kind: 'timer', name: 'awake' }));
    }
  },
  reopening,
  'bit-flip'({ peer: index, atMs }, { world }, peers) {
    for (const peer of peersOf(peers, index))
      world.after(atMs, () => {
        if (!peer.life) return;
        peer.engine = 'faulty';
        peer.life.trainer.theta[0] = 1 + (peer.life.trainer.theta[0] as number);
      });
  },
  restore({ peer: index, copyMs, fromMs, untilMs, unnoticed }, { world, trace, judge }, peers) {
    const { book } = judge.work;
    for (const peer of peersOf(peers, index)) {
      let backup = copyDisk(peer.disk);
      let made = 0;
      world.after(copyMs, () => {
        backup = copyDisk(peer.disk);
        made = book.authors.length;
      });
      world.after(fromMs, () => {
        peer.kill();
        peer.disk = backup;
        book.restored(peer.id, made, aheadIn(backup.checkpoint));
        peer.restores++;
        if (!unnoticed) peer.voteKeys++;
        trace?.note(index, 'restore');
      });
      world.after(untilMs, peer.start);
    }
  },
};

export const planFault = (fault: Fault, setting: Setting, peers: readonly SimPeer[]): void =>
  (planners[fault.kind] as (fault: Fault, setting: Setting, peers: readonly SimPeer[]) => void)(
    fault,
    setting,
    peers,
  );
