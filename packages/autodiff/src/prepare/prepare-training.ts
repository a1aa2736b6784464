/**
 * From the ONNX file that an institution has to the graph that a run shares. In order: the newest operator forms and
 * constants folded (`upgradeModel`, `simplifyModel`), an embedding and its copy as output head tied, text inputs bound, the loss
 * put on, adapters inserted, weights taken out. Weights are the file's initializers; what it writes as Constant nodes
 * stays constant. What comes out is a *training model*: inputs are samples, parameters (metadata
 * `murmuration.parameters`) and frozen weights (`murmuration.frozen`); outputs are `loss` and what the file gave.
 * Everything that a peer will execute is in that graph, as standard operators.
 */
import {
  createGraphBuilder,
  type Model,
  type Node,
  pruneModel,
  renameGraph,
  simplifyModel,
  upgradeModel,
} from '@murmuration/onnx';
import { AutodiffError } from '../errors.ts';
import { checkOperators } from '../operator-support.ts';
import { declareWeights } from './declarations.ts';
import { attachAdapters, mergeAdapters } from './lora.ts';
import { attachLoss, type LossSettings } from './losses.ts';
import { bindTextInputs, type TextInputs, tokensOf } from './text-inputs.ts';
import { type Tie, tieWeights } from './tie-weights.ts';
import { chooseWeights, type Trainable, weightsOf } from './trainable.ts';
import { insideTraining, outsideTraining } from './training-mode.ts';
import { takeWeightsOut, type WithoutWeights } from './weights.ts';

/** What to make of a file. */
export interface TrainingRequest {
  readonly loss: LossSettings;
  readonly trains: Trainable;
  /** The model reads text: tokens, and inputs that follow from them. Without it samples are arrays by input name. */
  readonly text?: TextInputs;
  /**
   * How dropout and batch normalization work while training: as in the file (default), or all by batch statistics and
   * random masks (refused for a file that has neither), or all as outside training.
   */
  readonly mode?: 'as-exported' | 'training' | 'inference';
  /** Whether an output head that is a copy of the embedding becomes one weight with it (default), as it was before its export. */
  readonly tying?: boolean;
}

/** A training model and its values. */
export interface PreparedTraining extends WithoutWeights {
  /** The heads that became one with an embedding. */
  readonly tied: readonly Tie[];
}

/** The metadata key of the names that inputs and outputs had in the file, as JSON: new name → old name. */
export const namesKey = 'murmuration.names';

/** New names of inputs and outputs, each with its name in the file. */
export type OriginalNames = Readonly<Record<string, string>>;

const mapNodes = (model: Model, change: (node: Node) => Node): Model => ({
  ...model,
  graph: { ...model.graph, nodes: model.graph.nodes.map(change) },
});

/** Exporters in evaluation mode leave dropout out, and fold batch normalization into the weights around it. */
function checkHasModes({ graph }: Model): void {
  if (graph.nodes.some(({ operator }) => operator === 'Dropout' || operator === 'BatchNormalization')) return;
  throw new AutodiffError(
    'mode training: expected a Dropout or a BatchNormalization, got none: if the model had one, its exporter left it ' +
      'out or folded it into the weights, and must be told to export in training mode',
    { code: 'bad-request' },
  );
}

function inMode(model: Model, { mode, trains }: TrainingRequest): Model {
  if (mode === 'inference' || trains.kind === 'lora') return mapNodes(model, outsideTraining);
  if (mode !== 'training') return model;
  checkHasModes(model);
  const builder = createGraphBuilder(model.graph.name, model);
  const yes = builder.initializer({
    name: 'murmuration.training',
    type: 'bool',
    shape: [],
    data: Uint8Array.of(1),
  });
  return mapNodes(builder.model(), (node) => insideTraining(node, yes));
}

/** Renames values that the run's conventions name; each new name must be free. */
function renamed(model: Model, names: ReadonlyMap<string, string>): Model {
  const taken = new Set([
    ...model.graph.inputs.map(({ name }) => name),
    ...model.graph.initializers.map(({ name }) => name),
    ...model.graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
  const clash = [...names].find(([from, to]) => from !== to && taken.has(to))?.[1];
  if (clash !== undefined)
    throw new AutodiffError(`expected the name ${clash} to be free, got a value of that name in the file`, {
      code: 'bad-request',
      name: clash,
    });
  return { ...model, graph: renameGraph(model.graph, (name) => names.get(name) ?? name) };
}

/**
 * Makes a training model of a forward model. Gives the graph and the weights' values, flat, in the order of the lists
 * in its metadata; parameters that the file does not have (adapters) have none: they begin by their declarations.
 * Adapters that the file has already become part of its weights before new ones are attached.
 * Throws `AutodiffError` `bad-request` for a request that does not fit the file, `foreign-operator` for an
 * operator that no run may have, `OnnxError` for a bad file.
 */
export function prepareTraining(file: Model, request: TrainingRequest): PreparedTraining {
  checkOperators(file);
  const { trains, text, tying = true } = request;
  const source = trains.kind === 'lora' ? mergeAdapters(file) : file;
  const simple = simplifyModel(upgradeModel(source));
  const { model: plain, tied } = tying ? tieWeights(simple) : { model: simple, tied: [] };
  const bound = text ? bindTextInputs(plain, text) : plain;
  const { model: whole, loss, logits } = attachLoss(inMode(bound, request), request.loss);
  const names = new Map([[loss, 'loss'], ...(text && logits ? [[logits, 'logits'] as const] : [])]);
  const others = whole.graph.outputs.map(({ name }) => name).filter((name) => name !== loss);
  const conventional = renamed(pruneModel(whole, [loss, ...others]), names);
  const original: OriginalNames = {
    ...(text ? { tokens: tokensOf(plain, text.tokens).name } : {}),
    ...Object.fromEntries(
      [...names].filter(([from]) => others.includes(from)).map(([from, to]) => [to, from]),
    ),
  };
  const model: Model = {
    ...conventional,
    metadata: { ...conventional.metadata, [namesKey]: JSON.stringify(original) },
  };
  if (trains.kind === 'lora') {
    const adapters = attachAdapters(model, trains);
    return { ...takeWeightsOut(adapters.model, adapters.declarations), tied };
  }
  const stored = new Set(file.graph.initializers.map(({ name }) => name));
  const weights = weightsOf(model, 'loss').filter(({ name }) => stored.has(name));
  const chosen = trains.kind === 'all' ? weights : chooseWeights(weights, trains.patterns);
  const outputs = model.graph.outputs.map(({ name }) => name).filter((name) => name !== 'loss');
  const declarations = declareWeights(model, chosen, outputs.length > 0 ? outputs : ['loss']);
  if (declarations.length === 0)
    throw new AutodiffError('expected weights on which the loss depends, got none', { code: 'bad-request' });
  return { ...takeWeightsOut(model, declarations), tied };
}
