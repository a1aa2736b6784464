import { checkOperators, frozenOf } from '@murmuration/autodiff';
import { createLayout, FactError, type ParameterLayout, type RunConfig } from '@murmuration/base';
import {
  type Model,
  type ParameterDeclaration,
  parametersOf,
  readModel,
  type ValueInfo,
} from '@murmuration/onnx';
import { EngineError } from './errors.ts';
import { type AverageRange, parameterRanges } from './optimizers/ranges.ts';

/** A run's forward graph, and how its parameters lie in the flat vectors. */
export interface RunModel {
  readonly model: Model;
  readonly declarations: readonly ParameterDeclaration[];
  readonly layout: ParameterLayout;
  /** Running statistics, which each peer keeps to itself. */
  readonly averages: readonly AverageRange[];
  /** Weights that are inputs and never train. */
  readonly frozen: ParameterLayout;
  /** What samples are fed to: all other inputs. */
  readonly inputs: readonly ValueInfo[];
}

type Bad = (problem: string) => EngineError;

function checkTextInputs(inputs: readonly ValueInfo[], bad: Bad): void {
  for (const { name, type } of inputs)
    if ((name !== 'tokens' && name !== 'targets') || type !== 'int64')
      throw bad(`expected the int64 inputs tokens and targets for text, got ${type} ${name}`);
  if (!inputs.some(({ name }) => name === 'tokens')) throw bad('expected an int64 input tokens for text');
}

function readParts(graph: Uint8Array, run: RunConfig, bad: Bad): RunModel {
  const model = readModel(graph);
  checkOperators(model);
  const declarations = parametersOf(model);
  const layout = createLayout(declarations);
  const frozen = createLayout(frozenOf(model));
  const fed = new Set([...layout.slots, ...frozen.slots].map(({ name }) => name));
  const inputs = model.graph.inputs.filter(({ name }) => !fed.has(name));
  if (!model.graph.outputs.some(({ name }) => name === 'loss')) throw bad('expected an output loss');
  if (run.data.kind === 'text') checkTextInputs(inputs, bad);
  if (layout.length !== run.initial.parameters)
    throw bad(`expected ${run.initial.parameters} parameters, got ${layout.length}`);
  const values = run.model.frozen?.values ?? 0;
  if (frozen.length !== values) throw bad(`expected ${values} frozen values, got ${frozen.length}`);
  const { averages } = parameterRanges(declarations, layout);
  return { model, declarations, layout, averages, frozen, inputs };
}

/**
 * Reads the graph and checks it against the run. Throws `EngineError` `bad-graph` when it has an operator that is not
 * on the list (it comes from somebody else, and must be data and nothing more), or is not a training model of as many
 * parameters and frozen values as the run says: an output `loss`, and for text no other inputs than `tokens` and
 * `targets` beside the weights.
 */
export function readRunModel(graph: Uint8Array, run: RunConfig): RunModel {
  const bad = (problem: string, cause?: unknown): EngineError =>
    new EngineError(`the run's graph: ${problem}`, { code: 'bad-graph' }, { cause });
  try {
    return readParts(graph, run, bad);
  } catch (error) {
    if (error instanceof EngineError || !(error instanceof FactError)) throw error;
    throw bad(error.message, error);
  }
}
