import { createLayout, tensorView } from '@murmuration/base';
import {
  inferShapes,
  type Model,
  parametersKey,
  parametersOf,
  pruneModel,
  renameGraph,
  simplifyModel,
  type Tensor,
} from '@murmuration/onnx';
import { AutodiffError } from '../errors.ts';
import { mergeAdapters } from './lora.ts';
import { readMetadata } from './metadata.ts';
import { namesKey, type OriginalNames } from './prepare-training.ts';
import { outsideTraining } from './training-mode.ts';
import { type FrozenWeight, frozenKey, frozenOf } from './weights.ts';

/** A training model's values, flat, and how to write them. */
export interface ExportRequest {
  readonly parameters: Float32Array;
  readonly frozen?: Float32Array;
  /** Adapters become part of the weights that they adapt. */
  readonly merge?: boolean;
}

function asTensors(list: readonly FrozenWeight[], vector: Float32Array, what: string): readonly Tensor[] {
  const layout = createLayout(list);
  if (vector.length !== layout.length)
    throw new AutodiffError(`${what}: expected ${layout.length} values, got ${vector.length}`, {
      code: 'bad-request',
      expected: layout.length,
      length: vector.length,
    });
  return layout.slots.map((slot) => ({
    name: slot.name,
    type: 'float32',
    shape: slot.shape,
    data: tensorView(vector, slot).slice(),
  }));
}

const isNames = (value: unknown): value is OriginalNames =>
  typeof value === 'object' &&
  value !== null &&
  Object.values(value).every((name) => typeof name === 'string');

const originalNames = (model: Model): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(readMetadata(model, { key: namesKey, expected: 'names by name', holds: isNames }) ?? {}),
  );

/** Outputs with their shapes, without which a file is no valid ONNX: preparing text inputs renames their symbols. */
function withOutputShapes(model: Model): Model {
  const { graph } = model;
  if (graph.outputs.every(({ shape }) => shape)) return model;
  const known = inferShapes(model);
  const outputs = graph.outputs.map((output) => {
    const shape = output.shape ?? known.get(output.name)?.shape;
    return shape ? { ...output, shape } : output;
  });
  return { ...model, graph: { ...graph, outputs } };
}

/**
 * The model to use elsewhere: weights inside, dropout and batch normalization as outside training, inputs and outputs
 * named as in the file that it was made from; without its loss, unless that is all it gives. Throws `AutodiffError`
 * `bad-request` for vectors of other lengths.
 */
export function exportModel(model: Model, request: ExportRequest): Model {
  const { parameters, frozen = new Float32Array(), merge = false } = request;
  const declared = parametersOf(model);
  const weights = [
    ...asTensors(declared, parameters, 'parameters'),
    ...asTensors(frozenOf(model), frozen, 'frozen weights'),
  ];
  const inside = new Set(weights.map(({ name }) => name));
  const { [parametersKey]: _, [frozenKey]: __, [namesKey]: ___, ...metadata } = model.metadata;
  const { graph } = model;
  const whole: Model = {
    ...model,
    metadata,
    graph: {
      ...graph,
      nodes: graph.nodes.map(outsideTraining),
      inputs: graph.inputs.filter(({ name }) => !inside.has(name)),
      initializers: [...graph.initializers, ...weights],
    },
  };
  const merged = merge ? mergeAdapters(whole) : whole;
  const others = graph.outputs.map(({ name }) => name).filter((name) => name !== 'loss');
  const names = originalNames(model);
  const pruned = pruneModel(merged, others.length > 0 ? others : ['loss']);
  const renamed = { ...pruned, graph: renameGraph(pruned.graph, (name) => names.get(name) ?? name) };
  return withOutputShapes(simplifyModel(renamed));
}
