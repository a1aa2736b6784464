/** Weights leave the graph: what trains and what is large becomes an input, its values one flat vector. */
import { createLayout } from '@murmuration/base';
import {
  type Model,
  type ParameterDeclaration,
  parametersKey,
  type Tensor,
  type ValueInfo,
} from '@murmuration/onnx';
import { inlineWeightsMax } from '../defaults.ts';
import { AutodiffError } from '../errors.ts';
import { hasTexts, readMetadata } from './metadata.ts';

/** The metadata key under which weights that are inputs and never train are listed, as JSON: `{ name, shape }`. */
export const frozenKey = 'murmuration.frozen';

/** A graph without large weights, and their values in the order of the lists in its metadata. */
export interface WithoutWeights {
  readonly model: Model;
  readonly parameters: Float32Array;
  readonly frozen: Float32Array;
}

/** Throws for the first value that is no number, or is infinite where infinities are no use: a mask may have them. */
function checkValues({ name, data }: Tensor, trains: boolean): void {
  const values = data as Float32Array;
  const holds = trains ? Number.isFinite : (value: number) => !Number.isNaN(value);
  const wrong = values.findIndex((value) => !holds(value));
  if (wrong < 0) return;
  const remedy = trains ? `; a table that should not train can be excluded by the pattern !${name}` : '';
  throw new AutodiffError(
    `weight ${name}: expected ${trains ? 'finite values' : 'numbers'}, got ${values[wrong]} at index ${wrong}${remedy}`,
    { code: 'bad-request', name, index: wrong },
  );
}

/** The tensors' values one after another. */
function flatten(tensors: readonly Tensor[], trains: boolean): Float32Array {
  for (const tensor of tensors) checkValues(tensor, trains);
  const { slots, length } = createLayout(tensors);
  const vector = new Float32Array(length);
  slots.forEach(({ offset }, index) => {
    vector.set(tensors[index]?.data as Float32Array, offset);
  });
  return vector;
}

const asInput = ({ name, type, shape }: Tensor): ValueInfo => ({ name, type, shape });

/**
 * Turns the declared initializers and all other large float32 ones into inputs. Declarations without an initializer
 * (adapters) come after the others; they are inputs already and have no values here. Throws `AutodiffError`
 * `bad-request` for a weight that holds NaN, or trains and is infinite.
 */
export function takeWeightsOut(model: Model, declarations: readonly ParameterDeclaration[]): WithoutWeights {
  const declared = new Set(declarations.map(({ name }) => name));
  const { initializers } = model.graph;
  const trained = initializers.filter(({ name }) => declared.has(name));
  const frozen = initializers.filter(
    ({ name, type, data }) => type === 'float32' && data.length > inlineWeightsMax && !declared.has(name),
  );
  const leaving = new Set([...trained, ...frozen]);
  const shapes = frozen.map(({ name, shape }) => ({ name, shape }));
  return {
    model: {
      ...model,
      metadata: {
        ...model.metadata,
        [parametersKey]: JSON.stringify(declarations),
        ...(frozen.length > 0 ? { [frozenKey]: JSON.stringify(shapes) } : {}),
      },
      graph: {
        ...model.graph,
        inputs: [...model.graph.inputs, ...trained.map(asInput), ...frozen.map(asInput)],
        initializers: initializers.filter((tensor) => !leaving.has(tensor)),
      },
    },
    parameters: flatten(trained, true),
    frozen: flatten(frozen, false),
  };
}

/** A weight that is an input and never trains. */
export interface FrozenWeight {
  readonly name: string;
  readonly shape: readonly number[];
}

const isFrozenList = (value: unknown): value is readonly FrozenWeight[] =>
  Array.isArray(value) &&
  value.every((entry) => hasTexts(entry, 'name') && Array.isArray((entry as { shape?: unknown }).shape));

/**
 * The weights that are inputs and never train, in the order in which they lie in the frozen vector. Throws
 * `AutodiffError` `bad-request` unless each is a float32 input of the listed shape.
 */
export function frozenOf(model: Model): readonly FrozenWeight[] {
  const expected = 'a list of weights with name and shape';
  const list = readMetadata(model, { key: frozenKey, expected, holds: isFrozenList }) ?? [];
  const inputs = new Map(model.graph.inputs.map((input) => [input.name, input]));
  for (const { name, shape } of list) {
    const input = inputs.get(name);
    if (input?.type !== 'float32' || input.shape?.join() !== shape.join())
      throw new AutodiffError(
        `metadata ${frozenKey}: expected ${name} to be a float32 input of shape [${shape}], ` +
          `got ${input ? `${input.type} [${input.shape}]` : 'no such input'}`,
        { code: 'bad-request', name },
      );
  }
  return list;
}
