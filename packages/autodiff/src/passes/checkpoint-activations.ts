/**
 * Activation checkpointing (Chen et al. 2016): the forward graph is cut into segments, only what crosses a cut is held
 * for the backward part, and each segment is computed again when its gradients are due.
 *
 * Cuts are found, not given: a place in the graph is as good as the values that are needed across it are small. For
 * a bound on a segment's inner values, the cheapest cuts are a shortest path; the bound with the smallest sum of held
 * values and largest segment wins. The last segment is not repeated: its gradients are due at once.
 */
import { type Model, usedValues } from '@murmuration/onnx';
import { checkpointBoundsTried, checkpointPlacesMax } from '../defaults.ts';
import { isRepeatable, repeatNodes, splitTraining, type TrainingParts } from './repeat-nodes.ts';
import { valueBytes } from './value-bytes.ts';

/** A place between two forward nodes. */
interface Place {
  /** Index of the node after it. */
  readonly index: number;
  /** Values given before it and used by forward nodes after it. */
  readonly crossing: readonly string[];
  readonly crossingBytes: number;
  /** Bytes of all values before it that the backward part reads. */
  readonly heldBefore: number;
}

/** All places, of which only those are kept whose crossing is no larger than at both neighbours. */
function findPlaces(parts: TrainingParts, bytesOf: (value: string) => number): readonly Place[] {
  const lastUse = new Map<string, number>();
  parts.forward.forEach((node, index) => {
    for (const value of usedValues(node)) if (parts.producers.has(value)) lastUse.set(value, index);
  });
  const places: Place[] = [];
  let live: string[] = [];
  let heldBefore = 0;
  parts.forward.forEach((node, position) => {
    const index = position + 1;
    for (const output of node.outputs) {
      if (output === '') continue;
      live.push(output);
      if (parts.held.has(output)) heldBefore += bytesOf(output);
    }
    live = live.filter((value) => (lastUse.get(value) ?? -1) >= index);
    const crossingBytes = live.reduce((sum, value) => sum + bytesOf(value), 0);
    places.push({ index, crossing: live, crossingBytes, heldBefore });
  });
  const isNarrow = ({ crossingBytes }: Place, at: number): boolean =>
    crossingBytes <= (places[at - 1]?.crossingBytes ?? 0) &&
    crossingBytes <= (places[at + 1]?.crossingBytes ?? 0);
  return places
    .filter(isNarrow)
    .toSorted((left, right) => left.crossingBytes - right.crossingBytes)
    .slice(0, checkpointPlacesMax)
    .toSorted((left, right) => left.index - right.index);
}

interface Cuts {
  readonly places: readonly Place[];
  readonly bytes: number;
}

/** The cuts that hold the least while no repeated segment has more than `bound` bytes of inner values. */
function cheapestCuts(places: readonly Place[], bound: number): Cuts | undefined {
  const best: Cuts[] = [];
  places.forEach((place, at) => {
    let chosen: Cuts | undefined =
      place.heldBefore <= bound ? { places: [place], bytes: place.crossingBytes } : undefined;
    for (let before = at - 1; before >= 0; before--) {
      const from = places[before] as Place;
      if (place.heldBefore - from.heldBefore > bound) break;
      const way = best[before];
      if (!way) continue;
      const bytes = way.bytes + place.crossingBytes;
      if (!chosen || bytes < chosen.bytes) chosen = { places: [...way.places, place], bytes };
    }
    if (chosen) best[at] = chosen;
  });
  return best[places.length - 1];
}

/** Cuts of which the last is the narrow place that leaves the least to hold after it within the bound. */
function chooseCuts(places: readonly Place[], heldBytes: number): readonly Place[] {
  let chosen: { readonly places: readonly Place[]; readonly bytes: number } = {
    places: [],
    bytes: heldBytes,
  };
  for (let step = 1; step <= checkpointBoundsTried; step++) {
    const bound = (heldBytes * step) / checkpointBoundsTried;
    const last = places.findIndex(({ heldBefore }) => heldBytes - heldBefore <= bound);
    if (last < 0) continue;
    const cuts = cheapestCuts(places.slice(0, last + 1), bound);
    if (cuts && cuts.bytes + bound < chosen.bytes)
      chosen = { places: cuts.places, bytes: cuts.bytes + bound };
  }
  return chosen.places;
}

/**
 * Rewrites a training graph, whose first output is the loss, so that it holds little more than what crosses the cuts
 * between segments, and computes each segment twice. The results are the same up to
 * rounding (onnxruntime may fuse the two copies differently). What cannot be repeated (random values,
 * nodes that hold graphs) is held as before.
 */
export function checkpointActivations(model: Model): Model {
  const parts = splitTraining(model);
  const sizes = valueBytes(model);
  const bytesOf = (value: string): number => sizes.bytes(value) ?? 0;
  const heldBytes = [...parts.held].reduce((sum, value) => sum + bytesOf(value), 0);
  const cuts = chooseCuts(findPlaces(parts, bytesOf), heldBytes);
  const last = cuts.at(-1);
  if (!last) return model;
  const kept = new Set(cuts.flatMap(({ crossing }) => crossing));
  parts.forward.forEach((node, index) => {
    if (index >= last.index || !isRepeatable(node)) for (const output of node.outputs) kept.add(output);
  });
  return repeatNodes(model, parts, kept);
}
