import { createLayout, FactError, type ParameterLayout, type RunConfig } from '@murmuration/base';
import { type Model, type ParameterDeclaration, parametersOf, readModel } from '@murmuration/onnx';
import { EngineError } from './errors.ts';

/** A run's forward graph, and how its parameters lie in the flat vectors. */
export interface RunModel {
  readonly model: Model;
  readonly declarations: readonly ParameterDeclaration[];
  readonly layout: ParameterLayout;
}

/**
 * Reads the graph and checks it against the run. Throws `EngineError` `bad-graph` when it is not a training model
 * (inputs `tokens`, `targets`, outputs `loss`, `logits`) of as many parameters as the run says.
 */
export function readRunModel(graph: Uint8Array, run: RunConfig): RunModel {
  const bad = (problem: string, cause?: unknown): EngineError =>
    new EngineError(`the run's graph: ${problem}`, { code: 'bad-graph' }, { cause });
  try {
    const model = readModel(graph);
    const declarations = parametersOf(model);
    const layout = createLayout(declarations);
    const { inputs, outputs } = model.graph;
    for (const name of ['tokens', 'targets'])
      if (!inputs.some((input) => input.name === name && input.type === 'int64'))
        throw bad(`expected an int64 input ${name}`);
    for (const name of ['loss', 'logits'])
      if (!outputs.some((output) => output.name === name)) throw bad(`expected an output ${name}`);
    if (layout.length !== run.initial.parameters)
      throw bad(`expected ${run.initial.parameters} parameters, got ${layout.length}`);
    return { model, declarations, layout };
  } catch (error) {
    if (error instanceof EngineError || !(error instanceof FactError)) throw error;
    throw bad(error.message, error);
  }
}
