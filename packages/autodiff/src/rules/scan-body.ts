import {
  capturedValues,
  floatOf,
  intOf,
  type Model,
  type Node,
  textOf,
  usedValues,
  type ValueInfo,
} from '@murmuration/onnx';
import { type Backward, createBackward } from '../backward.ts';
import { appendGradients } from '../reverse.ts';
import { bodyModel, declared, type ScanParts, type State, stepShape } from '../scan-node.ts';
import type { RuleContext } from './rule.ts';

/** What a gradient is the sum of at each step, such that all steps can be made at once from stacked values. */
export type StackedTerm =
  /** αAᵀB, rows of A and B. */
  | { readonly kind: 'product'; readonly parts: readonly [string, string]; readonly alpha: number }
  /** Values that are added into zeros at indices. */
  | { readonly kind: 'rows'; readonly parts: readonly [string, string] };

/** What the body's backward graph gives, and who it is for. */
export interface BodyGradients {
  readonly parts: ScanParts;
  readonly captured: readonly string[];
  readonly inner: Backward;
  /** Wanted states with the gradients by them before the step. */
  readonly states: readonly (readonly [number, string])[];
  /** Wanted scan inputs with their gradients. */
  readonly inputs: readonly (readonly [number, string])[];
  readonly sums: readonly (readonly [string, string])[];
  /** Captured values with the terms of their gradients. */
  readonly terms: readonly (readonly [string, readonly StackedTerm[]])[];
}

/** Names of the values that the body's backward graph takes from outside. */
export const stateGradient = (index: number): string => `gradient.state${index}`;
/** The gradient by a scan output, at one step. */
export const outputGradient = (index: number): string => `gradient.output${index}`;
/** The sum so far of the gradients by a captured value. */
export const runningSum = (name: string): string => `sum.${name}`;

const isFloat = (type: string): boolean => type === 'float32' || type === 'float64';

/** Values of the body that depend on the sources. */
function dependents(context: RuleContext, nodes: readonly Node[], sources: readonly string[]): Set<string> {
  const found = new Set(sources);
  for (const node of nodes) {
    if (context.table.withoutGradient.has(node.operator)) continue;
    if (usedValues(node).some((value) => found.has(value)))
      for (const output of node.outputs) found.add(output);
  }
  return found;
}

/** States whose gradient is wanted: a source reaches them at some step. */
function wantedStates(context: RuleContext, parts: ScanParts, sources: readonly string[]): readonly number[] {
  const indices = parts.states.map((_, index) => index);
  const float = indices.filter((index) =>
    isFloat(context.backward.typeOf(parts.states[index]?.initial ?? '')),
  );
  const wanted = new Set(float.filter((index) => context.needs(parts.first + index)));
  for (;;) {
    const before = wanted.size;
    const from = [...sources, ...[...wanted].map((index) => parts.states[index]?.before as string)];
    const reached = dependents(context, parts.body.nodes, from);
    for (const index of float) if (reached.has(parts.states[index]?.after as string)) wanted.add(index);
    if (wanted.size === before) return float.filter((index) => wanted.has(index));
  }
}

/** The body's model, in which the gradients by what it gives, and the sums that are carried, are inputs too. */
function gradientModel({ backward }: RuleContext, parts: ScanParts, captured: readonly string[]): Model {
  const like = (name: string, value: string): ValueInfo =>
    declared(name, backward.typeOf(value), backward.knownShape(value));
  return bodyModel(backward, parts, [
    ...parts.states.map(({ initial }, index) => like(stateGradient(index), initial)),
    ...parts.outputs.map((track, index) =>
      declared(outputGradient(index), backward.typeOf(track.outer), stepShape(backward, track)),
    ),
    ...captured.map((name) => like(runningSum(name), name)),
  ]);
}

/** One term of a sum, if a value is or has one, and the values that are added to it. */
interface Summands {
  readonly term?: StackedTerm;
  readonly others: readonly string[];
}

/** What a value is the sum of; undefined for what cannot be made for all steps at once. */
function summandsOf(inner: Backward, value: string): Summands | undefined {
  const node = inner.producerOf(value);
  const [a = '', b = '', rest = ''] = node?.inputs ?? [];
  switch (node?.operator) {
    case 'Add':
      return { others: [a, b] };
    case 'Gemm': {
      const rows = intOf(node, 'transA', 0) === 1 && intOf(node, 'transB', 0) === 0;
      if (!rows || floatOf(node, 'beta', 1) !== 1) return undefined;
      const alpha = floatOf(node, 'alpha', 1);
      return { term: { kind: 'product', parts: [a, b], alpha }, others: rest === '' ? [] : [rest] };
    }
    case 'ScatterND': {
      const adds = textOf(node, 'reduction', 'none') === 'add';
      const zeros = inner.producerOf(a)?.operator === 'ConstantOfShape';
      return adds && zeros ? { term: { kind: 'rows', parts: [b, rest] }, others: [] } : undefined;
    }
    default:
      return undefined;
  }
}

/** The terms whose sum a gradient is, when all of them can be made for all steps at once. */
function stackedTerms(inner: Backward, gradient: string): readonly StackedTerm[] | undefined {
  const terms: StackedTerm[] = [];
  const open = [gradient];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    const found = summandsOf(inner, value);
    if (!found) return undefined;
    if (found.term) terms.push(found.term);
    open.push(...found.others.toReversed());
  }
  return terms;
}

/**
 * Differentiates the body of a Scan as a model of its own, in which the values that it captures and the gradients by
 * what it gives are inputs.
 */
export function differentiateBody(context: RuleContext, parts: ScanParts): BodyGradients {
  const { backward, table } = context;
  const captured = capturedValues(parts.body);
  const wantedCaptured = captured.filter((name) => context.isWanted(name) && isFloat(backward.typeOf(name)));
  const wantedInputs = parts.inputs.flatMap((_, index) =>
    context.needs(parts.first + parts.states.length + index) ? [index] : [],
  );
  const innerOf = (index: number): string => parts.inputs[index]?.inner as string;
  const outsiders = [...wantedInputs.map(innerOf), ...wantedCaptured];
  const states = wantedStates(context, parts, outsiders);
  const stateOf = (index: number): State => parts.states[index] as State;
  const inner = createBackward(gradientModel(context, parts, captured));
  const seeds = new Map<string, string>();
  const seed = (value: string, gradient: string): void => {
    const known = seeds.get(value);
    seeds.set(value, known === undefined ? gradient : inner.op('Add', [known, gradient]));
  };
  for (const index of states) seed(stateOf(index).after, stateGradient(index));
  parts.outputs.forEach((track, index) => {
    if (context.gradients[parts.states.length + index] !== undefined)
      seed(track.inner, outputGradient(index));
  });
  const gradients = appendGradients(inner, {
    nodes: parts.body.nodes,
    seeds,
    sources: [...states.map((index) => stateOf(index).before), ...outsiders],
    table,
  });
  const found = wantedCaptured.flatMap((name): [string, string][] => {
    const gradient = gradients.get(name);
    return gradient === undefined ? [] : [[name, gradient]];
  });
  const terms = found.flatMap(([name, gradient]) => {
    const list = stackedTerms(inner, gradient);
    return list ? [[name, list] as const] : [];
  });
  const stacked = new Set(terms.map(([name]) => name));
  return {
    parts,
    captured,
    inner,
    terms,
    states: states.map((index) => {
      const { before } = stateOf(index);
      return [index, gradients.get(before) ?? inner.zerosLike(before)] as const;
    }),
    inputs: wantedInputs.flatMap((index) => {
      const gradient = gradients.get(innerOf(index));
      return gradient === undefined ? [] : [[index, gradient] as const];
    }),
    sums: found
      .filter(([name]) => !stacked.has(name))
      .map(([name, gradient]) => [name, inner.op('Add', [runningSum(name), gradient])] as const),
  };
}
