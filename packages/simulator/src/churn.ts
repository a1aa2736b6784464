/** Who comes and goes as rounds are certified. */
import type { Random } from '@murmuration/base';
import { drawMs } from './distribution.ts';
import type { Setting, SimPeer } from './peer.ts';
import type { Churn } from './scenario.ts';

const awayDefaultMs = [2_000, 10_000] as const;
/** Those who leave in a round do so within this time. */
const spreadMs = [0, 400] as const;
/** Who retires looks so often whether it is a member still, and goes at last whatever the ledger says. */
const retireCheckMs = 200;
const retireMaxMs = 30_000;

/** Returns what is to be done when a height is final. `enter` adds a new guest that has not started. */
export function planChurn(
  { who, share, awayMs, retires }: Churn,
  parts: {
    readonly setting: Setting;
    readonly peers: readonly SimPeer[];
    readonly random: Random;
    readonly enter: () => SimPeer;
  },
): (height: number) => void {
  const { setting, peers, random, enter } = parts;
  const { world, trace, scenario } = setting;
  const isOurs = ({ index }: SimPeer): boolean => (who === 'members') === index < scenario.members;
  const sleep = (peer: SimPeer): void => {
    peer.kill();
    peer.isLeaving = false;
    world.after(drawMs(awayMs ?? awayDefaultMs, random), peer.start);
  };
  /** It stays until the ledger has let it go. */
  const retire = (peer: SimPeer, untilMs: number): void => {
    if (!peer.isLeaving) peer.handle({ kind: 'leave' });
    peer.isLeaving = true;
    const isMember = peer.life?.replica.view.members.includes(peer.id);
    if (isMember && world.now < untilMs) world.after(retireCheckMs, () => retire(peer, untilMs));
    else sleep(peer);
  };
  const leave = (peer: SimPeer): void => {
    if (who === 'members') {
      if (retires) retire(peer, world.now + retireMaxMs);
      else sleep(peer);
      return;
    }
    peer.isGone = true;
    peer.kill();
    trace?.note(peer.index, 'vanish');
    const next = enter();
    next.start();
  };
  return (height) => {
    if (height < 1 || height >= scenario.rounds) return;
    const there = peers.filter((peer) => isOurs(peer) && peer.isHonest && peer.life && !peer.isLeaving);
    const expected = share * there.length;
    const count = Math.floor(expected) + (random.unit() < expected - Math.floor(expected) ? 1 : 0);
    for (let left = 0; left < count && there.length > 0; left++) {
      const [peer] = there.splice(random.below(there.length), 1) as [SimPeer];
      world.after(drawMs(spreadMs, random), () => leave(peer));
    }
  };
}
