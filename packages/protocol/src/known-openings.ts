/**
 * Which openings at our newest final block are kept. Everybody signs as many as it likes, so everybody has some places
 * of its own, for the highest attempts: nobody keeps out what others have signed.
 */
import type { PeerId } from '@murmuration/base';
import { openingsMax } from './defaults.ts';
import type { Machine } from './machine.ts';
import {
  mergeSignatures,
  misplacedOpening,
  type Opening,
  openingName,
  signaturesMissing,
} from './opening.ts';

/** Whether everybody has signed whom it needs. */
export const isComplete = (machine: Machine, opening: Opening): boolean =>
  signaturesMissing(opening, machine.rules.run) === 0;

/** Whether a peer has signed an opening. */
export const hasSigned = (opening: Opening, peer: PeerId): boolean =>
  opening.signatures.some((entry) => entry.peer === peer);

/** Whether an opening brings no signature that we do not have. */
export function knowsOpening(machine: Machine, opening: Opening): boolean {
  const known = machine.openings.get(openingName(opening));
  return known !== undefined && opening.signatures.every(({ peer }) => hasSigned(known, peer));
}

/** Survivors' openings that this peer has signed, complete ones or others. */
export const signedBy = (machine: Machine, peer: PeerId, complete: boolean): Opening[] =>
  [...machine.openings.values()].filter(
    (opening) =>
      opening.authority === 'survivors' &&
      hasSigned(opening, peer) &&
      isComplete(machine, opening) === complete,
  );

/**
 * Whether an opening is among the highest attempts of somebody who signed it. Nobody can fill the places of others; and
 * what only some have signed takes none of what all have.
 */
const isNew = (machine: Machine, opening: Opening): boolean =>
  opening.signatures.some(({ peer }) => {
    const others = signedBy(machine, peer, isComplete(machine, opening));
    return others.filter(({ attempt }) => attempt > opening.attempt).length < openingsMax;
  });

/**
 * Why an opening is not kept: founders say nothing before theirs is complete, and have one; of those by survivors the
 * highest attempts of each count.
 */
export function needlessOpening(machine: Machine, opening: Opening): string | undefined {
  if (machine.openings.has(openingName(opening))) return undefined;
  if (opening.authority === 'survivors')
    return isNew(machine, opening) ? undefined : 'opening of an old attempt';
  if (!isComplete(machine, opening)) return 'opening that founders have not completed';
  const isSecond = [...machine.openings.values()].some(({ authority }) => authority === 'founders');
  return isSecond ? 'second opening by founders' : undefined;
}

/** Keeps a checked opening at our newest final block. Returns whether it is one to keep. */
export function noteOpening(machine: Machine, opening: Opening): boolean {
  if (needlessOpening(machine, opening)) return false;
  const name = openingName(opening);
  const known = machine.openings.get(name);
  machine.openings.set(name, known ? mergeSignatures(known, opening.signatures) : opening);
  keepNewest(machine);
  return true;
}

/** Of survivors' openings the highest attempts of each stay, and the one of the recovery that has the engine. */
export function keepNewest(machine: Machine): void {
  const current = machine.dormant && openingName(machine.dormant.opening);
  const kept = new Set<Opening>();
  for (const peer of machine.settled.state.voters)
    for (const complete of [true, false])
      for (const opening of signedBy(machine, peer, complete)
        .sort((a, b) => b.attempt - a.attempt)
        .slice(0, openingsMax))
        kept.add(opening);
  for (const [name, opening] of machine.openings)
    if (opening.authority === 'survivors' && name !== current && !kept.has(opening))
      machine.openings.delete(name);
}

/** Drops openings at blocks that are no longer the newest final one. */
export function sweepOpenings(machine: Machine): void {
  for (const [name, opening] of machine.openings)
    if (misplacedOpening(opening, machine.settled)) machine.openings.delete(name);
}
