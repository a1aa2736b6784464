/** One machine, loopback: again and again a random third of the peers is killed and comes back from its folder. */
import { createRandom, type Random, second } from '@murmuration/base';
import { absenceMaxMs, calmRounds, killedShare } from './defaults.ts';
import type { Fleet, Outcome } from './fleet.ts';

export interface KillsInit {
  readonly rounds: number;
  /** 0: nobody is killed. */
  readonly secondsBetweenKills: number;
  readonly seed: string;
  onNews(text: string): void;
}

export interface KillsResult extends Outcome {
  readonly kills: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const draw = (from: readonly number[], count: number, random: Random): number[] => {
  const left = [...from];
  return Array.from(
    { length: Math.min(count, left.length) },
    () => left.splice(random.below(left.length), 1)[0] ?? 0,
  );
};

/** Plays a whole run, to its last round at every peer. */
export async function playKills(fleet: Fleet, peers: number, init: KillsInit): Promise<KillsResult> {
  const { rounds, secondsBetweenKills, seed, onNews } = init;
  await fleet.start([{ listen: '/ip4/127.0.0.1/tcp/0' }]);
  await fleet.reach(1);
  const ended = fleet.ended();
  ended.catch(() => undefined);
  const random = createRandom(`${seed}/kills`);
  const atOnce = Math.round(peers * killedShare);
  let kills = 0;
  const restarts: Promise<void>[] = [];
  while (secondsBetweenKills > 0 && fleet.round < rounds - calmRounds) {
    const over = await Promise.race([
      ended.then(() => true),
      pause(secondsBetweenKills * second).then(() => false),
    ]);
    if (over || fleet.round >= rounds - calmRounds) break;
    const victims = draw(fleet.running, atOnce, random);
    const round = fleet.round;
    await fleet.kill(victims);
    kills += victims.length;
    const absences = victims.map(() => (random.below(2) === 0 ? 0 : random.below(absenceMaxMs)));
    onNews(
      `round ${round}: killed ${victims.join(', ')}; back after ${absences.map((ms) => `${(ms / second).toFixed(1)} s`).join(', ')}`,
    );
    for (const [position, victim] of victims.entries())
      restarts.push(pause(absences[position] ?? 0).then(() => fleet.restart(victim)));
    for (const restart of restarts) restart.catch(() => undefined);
    await Promise.race([Promise.all(restarts), ended]);
  }
  await Promise.all(restarts);
  await ended;
  return { kills, ...(await fleet.finish(rounds)) };
}
