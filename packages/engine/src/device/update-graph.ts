/**
 * An optimizer's step as a graph, for devices where parameters and states stay: every parameter with its gradient and
 * its states in, the parameter and its states after the step out. Numbers that differ from step to step are inputs.
 * The rules are those of `optimizers/`, and their states lie in the same flat vectors.
 */
import type { ParameterLayout, RunConfig, TensorSlot } from '@murmuration/base';
import {
  createGraphBuilder,
  type GraphBuilder,
  type Model,
  type ParameterDeclaration,
} from '@murmuration/onnx';
import { adamwScalars } from '../optimizers/adamw.ts';
import { orthogonalize } from '../optimizers/newton-schulz.ts';
import { isMatrix } from '../optimizers/ranges.ts';
import type { VectorPart } from './device-session.ts';

/** What a step's numbers depend on: as `StepContext` of the host's rules. */
export interface UpdateMoment {
  /** 1 over the micro-batches in the gradient, and that times what clipping leaves. */
  readonly mean: number;
  readonly scale: number;
  readonly learningRate: number;
  /** 1 for the first step. */
  readonly step: number;
}

/** The graph and how its inputs and outputs lie in flat vectors. */
export interface UpdateGraph {
  /**
   * Inputs `parameter:P`, `gradient:P`, `STATE:P` for each parameter P, and the numbers; outputs `next:parameter:P` and
   * `next:STATE:P`.
   */
  readonly model: Model;
  /** Where each state's parts lie, by state and in the states' order. */
  readonly states: Readonly<Record<string, readonly VectorPart[]>>;
  /** The numbers of a step by input name. */
  numbers(moment: UpdateMoment): Readonly<Record<string, number>>;
}

type Inner = RunConfig['inner'];
type Values = Readonly<Record<string, string>>;

/** One parameter's part of the graph. `scaled` is its gradient as the step uses it. */
interface SlotContext {
  readonly graph: GraphBuilder;
  readonly slot: TensorSlot;
  readonly decays: boolean;
  readonly parameter: string;
  readonly gradient: string;
  readonly states: Values;
  /** The input of that name. */
  number(name: string): string;
}

/** How a parameter moves. */
interface SlotRule {
  readonly states: readonly string[];
  /** Gives the names of `parameter` and of each state after the step. */
  step(context: SlotContext): Values;
}

const scaledBy = ({ graph, gradient, number }: SlotContext, name: string): string =>
  graph.node('Mul', [gradient, number(name)]);

/** keep·θ − d, keep being 1 where weight decay does not apply. */
function descend({ graph, decays, parameter, number }: SlotContext, keep: string, by: string): string {
  const kept = decays ? graph.node('Mul', [parameter, number(keep)]) : parameter;
  return graph.node('Sub', [kept, by]);
}

/** weight·x + share·y. */
const blend = (graph: GraphBuilder, x: string, weight: number, y: string, share: number): string =>
  graph.node('Add', [
    graph.node('Mul', [x, graph.float32(weight)]),
    share === 1 ? y : graph.node('Mul', [y, graph.float32(share)]),
  ]);

type AdamW = Extract<Inner['optimizer'], { kind: 'adamw' | 'muon' }>;

const adamw = ({ beta1, beta2, epsilon }: AdamW): SlotRule => ({
  states: ['first', 'second'],
  step(context) {
    const { graph, states, number } = context;
    const g = scaledBy(context, 'scale');
    const first = blend(graph, states.first as string, beta1, g, 1 - beta1);
    const squared = graph.node('Mul', [g, g]);
    const second = blend(graph, states.second as string, beta2, squared, 1 - beta2);
    const root = graph.node('Mul', [graph.node('Sqrt', [second]), number('adamw.correction')]);
    const by = graph.node('Div', [
      graph.node('Mul', [first, number('adamw.rate')]),
      graph.node('Add', [root, graph.float32(epsilon)]),
    ]);
    return { parameter: descend(context, 'adamw.keep', by), first, second };
  },
});

const sgd = ({ momentum: mu, nesterov }: Extract<Inner['optimizer'], { kind: 'sgd' }>): SlotRule => ({
  states: ['momentum'],
  step(context) {
    const { graph, states, number } = context;
    const g = scaledBy(context, 'scale');
    const momentum = blend(graph, states.momentum as string, mu, g, 1);
    const direction = nesterov ? blend(graph, momentum, mu, g, 1) : momentum;
    const by = graph.node('Mul', [direction, number('rate')]);
    return { parameter: descend(context, 'keep', by), momentum };
  },
});

type Muon = Extract<Inner['optimizer'], { kind: 'muon' }>;

const muon = ({ momentum: mu, nesterov, iterations }: Muon): SlotRule => ({
  states: ['momentum'],
  step(context) {
    const { graph, slot, states, number } = context;
    const rows = slot.shape[0] as number;
    const columns = slot.length / rows;
    const g = scaledBy(context, 'scale');
    const momentum = blend(graph, states.momentum as string, mu, g, 1 - mu);
    const direction = nesterov ? blend(graph, momentum, mu, g, 1 - mu) : momentum;
    const matrix = graph.node('Reshape', [direction, graph.int64s([rows, columns])]);
    const orthogonal = orthogonalize(graph, matrix, { iterations, tall: rows > columns });
    const shaped = graph.node('Reshape', [orthogonal, graph.int64s(slot.shape)]);
    const factor = graph.float32(Math.sqrt(Math.max(1, rows / columns)));
    const by = graph.node('Mul', [shaped, graph.node('Mul', [number('rate'), factor])]);
    return { parameter: descend(context, 'keep', by), momentum };
  },
});

/** A running statistic: θ − (1 − momentum)·mean·g. */
const average = (momentum: number): SlotRule => ({
  states: [],
  step(context) {
    const { graph } = context;
    const by = graph.node('Mul', [scaledBy(context, 'mean'), graph.float32(1 - momentum)]);
    return { parameter: graph.node('Sub', [context.parameter, by]) };
  },
});

function ruleOf(
  optimizer: Inner['optimizer'],
  slot: TensorSlot,
  declaration: ParameterDeclaration,
): SlotRule {
  if (declaration.update) return average(declaration.update.momentum);
  switch (optimizer.kind) {
    case 'adamw':
      return adamw(optimizer);
    case 'sgd':
      return sgd(optimizer);
    case 'muon':
      return isMatrix(slot, declaration) ? muon(optimizer) : adamw(optimizer);
    default:
      return optimizer satisfies never;
  }
}

function numbersOf({ optimizer, weightDecay }: Inner, moment: UpdateMoment): Record<string, number> {
  const { mean, scale, learningRate, step } = moment;
  const common = { mean, scale, rate: learningRate, keep: 1 - learningRate * weightDecay };
  if (optimizer.kind === 'sgd') return common;
  const ofVectors = optimizer.kind === 'muon' ? optimizer.rateOfVectors : 1;
  const { rate, correction } = adamwScalars(optimizer, learningRate * ofVectors, step);
  return {
    ...common,
    'adamw.rate': rate,
    'adamw.correction': correction,
    'adamw.keep': 1 - learningRate * ofVectors * weightDecay,
  };
}

/** Makes the graph of a run's optimizer. */
export function createUpdateGraph(
  declarations: readonly ParameterDeclaration[],
  layout: ParameterLayout,
  inner: Inner,
): UpdateGraph {
  const graph = createGraphBuilder('update');
  const states: Record<string, VectorPart[]> = inner.optimizer.kind === 'muon' ? { momentum: [] } : {};
  const numbers = new Set<string>();
  const number = (name: string): string => {
    if (numbers.has(name)) return name;
    numbers.add(name);
    return graph.input(name, 'float32', []);
  };
  const placeState = (state: string, { name, shape }: TensorSlot): string => {
    states[state] ??= [];
    const parts = states[state];
    const last = parts.at(-1);
    const offset = last ? last.offset + last.shape.reduce((product, size) => product * size, 1) : 0;
    parts.push({ name, shape, offset });
    return graph.input(`${state}:${name}`, 'float32', shape);
  };
  layout.slots.forEach((slot, index) => {
    const declaration = declarations[index] as ParameterDeclaration;
    const { name, shape } = slot;
    const rule = ruleOf(inner.optimizer, slot, declaration);
    const next = rule.step({
      ...{ graph, slot, number, decays: declaration.decays },
      parameter: graph.input(`parameter:${name}`, 'float32', shape),
      gradient: graph.input(`gradient:${name}`, 'float32', shape),
      states: Object.fromEntries(rule.states.map((state) => [state, placeState(state, slot)])),
    });
    for (const [kind, value] of Object.entries(next))
      graph.output(graph.node('Identity', [value], {}, `next:${kind}:${name}`), 'float32', shape);
  });
  return {
    model: graph.model(),
    states,
    numbers(moment) {
      const all = numbersOf(inner, moment);
      return Object.fromEntries([...numbers].map((name) => [name, all[name] as number]));
    },
  };
}

/** Adds gradients up: inputs `sum:P` and `gradient:P`, outputs `next:sum:P`. */
export function createSumGraph(layout: ParameterLayout): Model {
  const graph = createGraphBuilder('sum');
  for (const { name, shape } of layout.slots) {
    const inputs = [
      graph.input(`sum:${name}`, 'float32', shape),
      graph.input(`gradient:${name}`, 'float32', shape),
    ];
    graph.output(graph.node('Add', inputs, {}, `next:sum:${name}`), 'float32', shape);
  }
  return graph.model();
}

/** Inputs `gradient:P` of what trains; output `squares`: for each the sum of its squares. */
export function createNormGraph(
  declarations: readonly ParameterDeclaration[],
  layout: ParameterLayout,
): Model {
  const graph = createGraphBuilder('norm');
  const squares = layout.slots.flatMap(({ name, shape, length }, index) => {
    if (declarations[index]?.update) return [];
    const gradient = graph.input(`gradient:${name}`, 'float32', shape);
    const flat = graph.node('Reshape', [gradient, graph.int64s([length])]);
    return [graph.node('ReduceSumSquare', [flat, graph.int64s([0])])];
  });
  const zero = graph.initializer({ name: 'zero', type: 'float32', shape: [1], data: Float32Array.of(0) });
  graph.output(
    graph.node('Concat', [...squares, zero], { axis: { kind: 'int', value: 0 } }, 'squares'),
    'float32',
    [squares.length + 1],
  );
  return graph.model();
}
