import { type Dimension, inferShapes, type Model, usedValues } from '@murmuration/onnx';
import { elementBytes } from './element-types.ts';

/** Bytes that a graph's values take while its nodes run in order, each value freed after its last use. */
export interface MemoryEstimate {
  /** Inputs and initializers. */
  readonly given: number;
  readonly outputs: number;
  /** The most that all other values take at one time. */
  readonly peak: number;
  /** Values whose size shape inference cannot tell; they count as nothing. */
  readonly unknown: number;
}

/** Operators whose output is their input's memory under another shape. */
const views: ReadonlySet<string> = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten', 'Identity']);

/** A model with sizes in place of symbols. */
export function fixDimensions(model: Model, sizes: Readonly<Record<string, number>>): Model {
  const fix = (dimension: Dimension): Dimension =>
    typeof dimension === 'string' && Object.hasOwn(sizes, dimension)
      ? (sizes[dimension] as number)
      : dimension;
  const { graph } = model;
  return {
    ...model,
    graph: {
      ...graph,
      inputs: graph.inputs.map((input) => (input.shape ? { ...input, shape: input.shape.map(fix) } : input)),
      outputs: graph.outputs.map(({ name, type }) => ({ name, type })),
    },
  };
}

/**
 * Estimates the memory of one run of a graph. A runtime needs more: packed matrices, scratch space of operators, holes
 * between allocations.
 */
export function estimateMemory(model: Model, sizes: Readonly<Record<string, number>> = {}): MemoryEstimate {
  const known = inferShapes(fixDimensions(model, sizes));
  let unknown = 0;
  const bytesOf = (name: string): number => {
    const value = known.get(name);
    const elements = value?.shape?.reduce<number>(
      (product, dimension) => product * (typeof dimension === 'number' ? dimension : Number.NaN),
      1,
    );
    if (!value || elements === undefined || Number.isNaN(elements)) {
      unknown++;
      return 0;
    }
    return elements * elementBytes[value.type];
  };
  const sum = (names: Iterable<string>): number => {
    let total = 0;
    for (const name of names) total += bytesOf(name);
    return total;
  };
  const { nodes, inputs, initializers, outputs } = model.graph;
  const given = [...inputs, ...initializers].map(({ name }) => name);
  const kept = new Set([...given, ...outputs.map(({ name }) => name)]);
  const owner = new Map<string, string>();
  const ownerOf = (name: string): string => owner.get(name) ?? name;
  for (const { operator, inputs: from, outputs: to } of nodes)
    if (views.has(operator) && from[0] && to[0]) owner.set(to[0], ownerOf(from[0]));
  const lastUse = new Map<string, number>();
  nodes.forEach((node, index) => {
    for (const name of [...usedValues(node), ...node.outputs]) lastUse.set(ownerOf(name), index);
  });
  const live = new Map<string, number>();
  let now = 0;
  let peak = 0;
  nodes.forEach((node, index) => {
    for (const output of node.outputs) {
      if (output === '' || owner.has(output) || kept.has(output)) continue;
      const bytes = bytesOf(output);
      live.set(output, bytes);
      now += bytes;
    }
    peak = Math.max(peak, now);
    for (const name of new Set([...usedValues(node), ...node.outputs].map(ownerOf))) {
      if (lastUse.get(name) !== index || kept.has(name)) continue;
      now -= live.get(name) ?? 0;
      live.delete(name);
    }
  });
  const outputBytes = sum(outputs.map(({ name }) => name));
  return { given: sum(given), outputs: outputBytes, peak, unknown };
}
