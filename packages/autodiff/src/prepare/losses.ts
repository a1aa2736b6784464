/** Losses that a run names, put onto the output of a forward graph that has none. */
import {
  createGraphBuilder,
  type Dimension,
  type GraphBuilder,
  inferShapes,
  int,
  ints,
  type KnownValue,
  type Model,
} from '@murmuration/onnx';
import { typeCodes } from '../element-types.ts';
import { AutodiffError } from '../errors.ts';
import { classesKey, type TargetClasses } from './classes.ts';

/** What is minimised. */
export type LossSettings =
  /** The graph computes it: a float output with one element (the only such output, unless named). */
  | { readonly kind: 'output'; readonly output?: string }
  /**
   * Mean negative log-likelihood of classes, nats. The graph's output holds logits; input `targets` (int64) has its
   * shape without the class axis. Targets equal to `ignoreIndex` do not count.
   */
  | ({
      readonly kind: 'cross-entropy';
      /** Axis of the classes; the last one unless said otherwise. */
      readonly axis?: number;
      /** Share of the target's probability that is spread over all classes, 0 to below 1 (Szegedy et al. 2016). */
      readonly labelSmoothing?: number;
      readonly ignoreIndex?: number;
    } & OnOutput)
  /** Mean squared difference to the float input `targets` of the output's shape. */
  | ({ readonly kind: 'mse' } & OnOutput)
  /** Mean binary cross-entropy of logits, nats; `targets` (float, 0 to 1) has the output's shape. */
  | ({ readonly kind: 'bce' } & OnOutput);

interface OnOutput {
  /** The graph's output; the first one unless named. */
  readonly output?: string;
  /** A float input `mask` of the targets' shape weighs each element; the mean is over Σ mask, or 1 if that is less. */
  readonly mask?: boolean;
}

/** The graph under construction, and the output that the loss is put onto. */
interface LossContext {
  readonly graph: GraphBuilder;
  readonly output: string;
  readonly shape: readonly Dimension[];
}

type NamedLoss = Exclude<LossSettings, { readonly kind: 'output' }>;

const badRequest = (message: string, facts: object): AutodiffError =>
  new AutodiffError(message, { code: 'bad-request', ...facts });

/** Mean of all values, or Σ weight·value / max(Σ weight, 1). */
function weightedMean(graph: GraphBuilder, values: string, weights: string | undefined): string {
  if (weights === undefined) return graph.node('ReduceMean', [values], { keepdims: int(0) });
  const total = graph.node('ReduceSum', [graph.node('Mul', [values, weights])], { keepdims: int(0) });
  const count = graph.node('ReduceSum', [weights], { keepdims: int(0) });
  return graph.node('Div', [total, graph.node('Max', [count, graph.float32(1)])]);
}

/** The input `mask` as weights of the given shape. */
const maskInput = (
  { graph }: LossContext,
  loss: OnOutput,
  shape: readonly Dimension[],
): string | undefined => (loss.mask ? graph.input('mask', 'float32', shape) : undefined);

function crossEntropy(context: LossContext, loss: NamedLoss & { readonly kind: 'cross-entropy' }): string {
  const { graph, output, shape } = context;
  const rank = shape.length;
  const axis = loss.axis === undefined ? rank - 1 : loss.axis < 0 ? loss.axis + rank : loss.axis;
  const classes = shape[axis];
  const smoothing = loss.labelSmoothing ?? 0;
  if (rank < 2 || !(axis >= 1 && axis < rank) || typeof classes !== 'number')
    throw badRequest(
      `loss cross-entropy: expected logits with a known number of classes on axis ${axis}, ` +
        `got ${output} of shape [${shape}]`,
      { output, shape },
    );
  if (!(smoothing >= 0 && smoothing < 1))
    throw badRequest(`loss cross-entropy: expected label smoothing from 0 to below 1, got ${smoothing}`, {
      smoothing,
    });
  if (loss.ignoreIndex !== undefined && !Number.isSafeInteger(loss.ignoreIndex))
    throw badRequest(
      `loss cross-entropy: expected a whole number as the target to ignore, got ${loss.ignoreIndex}`,
      { ignoreIndex: loss.ignoreIndex },
    );
  const others = shape.toSpliced(axis, 1);
  const targets = graph.input('targets', 'int64', others);
  const permutation = [...shape.keys()].filter((each) => each !== axis);
  const last =
    axis === rank - 1 ? output : graph.node('Transpose', [output], { perm: ints([...permutation, axis]) });
  const rows = rank === 2 ? last : graph.node('Reshape', [last, graph.int64s([-1, classes])]);
  const flat = rank === 2 ? targets : graph.node('Reshape', [targets, graph.int64s([-1])]);
  const flatMask = (mask: string): string =>
    rank === 2 ? mask : graph.node('Reshape', [mask, graph.int64s([-1])]);
  const mask = maskInput(context, loss, others);
  let weights = mask === undefined ? undefined : flatMask(mask);
  let chosen = flat;
  if (loss.ignoreIndex !== undefined) {
    const counts = graph.node('Not', [graph.node('Equal', [flat, graph.int64(loss.ignoreIndex)])]);
    chosen = graph.node('Where', [counts, flat, graph.int64(0)]);
    const asFloat = graph.node('Cast', [counts], { to: int(typeCodes.float32) });
    weights = weights === undefined ? asFloat : graph.node('Mul', [weights, asFloat]);
  }
  const logProbabilities = graph.node('LogSoftmax', [rows], { axis: int(-1) });
  const column = graph.node('Unsqueeze', [chosen, graph.int64s([1])]);
  const picked = graph.node('Squeeze', [
    graph.node('GatherElements', [logProbabilities, column], { axis: int(1) }),
    graph.int64s([1]),
  ]);
  if (smoothing === 0) return graph.node('Neg', [weightedMean(graph, picked, weights)]);
  const mean = graph.node('ReduceMean', [logProbabilities, graph.int64s([1])], { keepdims: int(0) });
  const mixed = graph.node('Add', [
    graph.node('Mul', [picked, graph.float32(1 - smoothing)]),
    graph.node('Mul', [mean, graph.float32(smoothing)]),
  ]);
  return graph.node('Neg', [weightedMean(graph, mixed, weights)]);
}

function meanSquaredError(context: LossContext, loss: NamedLoss): string {
  const { graph, output, shape } = context;
  const difference = graph.node('Sub', [output, graph.input('targets', 'float32', shape)]);
  const squares = graph.node('Mul', [difference, difference]);
  return weightedMean(graph, squares, maskInput(context, loss, shape));
}

/** −t·log σ(x) − (1 − t)·log(1 − σ(x)) = softplus(x) − t·x. */
function binaryCrossEntropy(context: LossContext, loss: NamedLoss): string {
  const { graph, output, shape } = context;
  const product = graph.node('Mul', [output, graph.input('targets', 'float32', shape)]);
  const values = graph.node('Sub', [graph.node('Softplus', [output]), product]);
  return weightedMean(graph, values, maskInput(context, loss, shape));
}

function build(context: LossContext, loss: NamedLoss): string {
  switch (loss.kind) {
    case 'cross-entropy':
      return crossEntropy(context, loss);
    case 'mse':
      return meanSquaredError(context, loss);
    case 'bce':
      return binaryCrossEntropy(context, loss);
  }
}

const targetClasses = (
  { axis = -1, ignoreIndex }: NamedLoss & { readonly kind: 'cross-entropy' },
  shape: readonly Dimension[],
): TargetClasses => ({
  count: Number(shape.at(axis)),
  ...(ignoreIndex !== undefined && { ignore: ignoreIndex }),
});

const countsOne = (shape: readonly Dimension[] | undefined): boolean =>
  shape?.every((dimension) => dimension === 1) ?? false;

function ownLoss(model: Model, known: ReadonlyMap<string, KnownValue>, wanted: string | undefined): string {
  const candidates = model.graph.outputs.filter(
    ({ name, type }) => type === 'float32' && countsOne(known.get(name)?.shape),
  );
  const found =
    wanted === undefined
      ? candidates.length === 1
        ? candidates[0]
        : undefined
      : candidates.find(({ name }) => name === wanted);
  if (found) return found.name;
  const outputs = model.graph.outputs.map(({ name }) => `${name} [${known.get(name)?.shape ?? 'any shape'}]`);
  throw badRequest(
    `expected ${wanted === undefined ? 'one output' : `the output ${wanted}`} to be a float32 scalar, ` +
      `got ${outputs.join(', ')}; name a loss for an output that is none`,
    { outputs },
  );
}

/** Where the loss is after `attachLoss`, and which output it was put onto. */
export interface WithLoss {
  readonly model: Model;
  readonly loss: string;
  /** Absent when the graph computes its loss by itself. */
  readonly logits: string | undefined;
}

/**
 * Gives a graph whose value `loss` is a scalar: its own output, or a named loss put onto an output. New inputs are
 * `targets` and, if asked for, `mask`. Throws `AutodiffError` `bad-request`.
 */
export function attachLoss(model: Model, settings: LossSettings): WithLoss {
  const known = inferShapes(model);
  const graph = createGraphBuilder(model.graph.name, model);
  if (settings.kind === 'output') {
    const name = ownLoss(model, known, settings.output);
    if (known.get(name)?.shape?.length === 0) return { model, loss: name, logits: undefined };
    const loss = graph.node('Reshape', [name, graph.int64s([])], {}, 'loss');
    return { model: graph.model(), loss, logits: undefined };
  }
  const output = settings.output ?? model.graph.outputs[0]?.name ?? '';
  const value = known.get(output);
  const declared = model.graph.outputs.some(({ name }) => name === output);
  if (!declared || !value?.shape || value.type !== 'float32')
    throw badRequest(
      `loss ${settings.kind}: expected a float32 output of known rank, ` +
        `got ${declared ? `${output} (${value?.type} [${value?.shape ?? 'any shape'}])` : `no output ${output}`}`,
      { output },
    );
  const taken = ['targets', ...(settings.mask ? ['mask'] : [])].find((name) => known.has(name));
  if (taken !== undefined)
    throw badRequest(`loss ${settings.kind}: expected the name ${taken} to be free for its input`, { taken });
  const made = build({ graph, output, shape: value.shape }, settings);
  const { kind } = settings;
  const classes = kind === 'cross-entropy' ? targetClasses(settings, value.shape) : undefined;
  const metadata = classes ? { [classesKey]: JSON.stringify(classes) } : {};
  return { model: graph.model(metadata), loss: made, logits: output };
}
