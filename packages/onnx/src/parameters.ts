import { createLayout, createRandom, tensorView } from '@murmuration/base';
import { rankMax } from './defaults.ts';
import { OnnxError } from './errors.ts';
import type { ParameterDeclaration } from './index.ts';
import type { Model, Tensor } from './model.ts';
import { pruneModel } from './prune.ts';

/** The metadata key under which a training model lists its parameters, as JSON. */
export const parametersKey = 'murmuration.parameters';

function isAverage(value: unknown): boolean {
  const { kind, momentum } = (value ?? {}) as { kind?: unknown; momentum?: unknown };
  return kind === 'average' && typeof momentum === 'number' && momentum >= 0 && momentum < 1;
}

function isDeclaration(value: unknown): value is ParameterDeclaration {
  const { name, shape, initial, decays, update, hidden } = (value ?? {}) as Partial<
    Record<keyof ParameterDeclaration, unknown>
  >;
  const { kind, limit, value: constant } = (initial ?? {}) as Record<string, unknown>;
  const shapeHolds =
    Array.isArray(shape) &&
    shape.length <= rankMax &&
    shape.every((dimension) => Number.isSafeInteger(dimension) && dimension > 0);
  const initialHolds =
    (kind === 'uniform' && Number.isFinite(limit) && (limit as number) >= 0) ||
    (kind === 'constant' && Number.isFinite(constant)) ||
    kind === 'given';
  const flagsHold = typeof decays === 'boolean' && (hidden === undefined || typeof hidden === 'boolean');
  const namedAndFilled = typeof name === 'string' && name !== '' && shapeHolds && initialHolds;
  return namedAndFilled && flagsHold && (update === undefined || isAverage(update));
}

/**
 * The parameters that a training model declares, in the order in which they lie in the flat vector.
 * Throws `OnnxError` `bad-parameters` unless each is a float32 input of the declared shape.
 */
export function parametersOf(model: Model): ParameterDeclaration[] {
  const bad = (expected: string): never => {
    throw new OnnxError(`metadata ${parametersKey}: expected ${expected}`, { code: 'bad-parameters' });
  };
  const json = model.metadata[parametersKey];
  if (json === undefined) return bad('a list of parameters, got none');
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch {
    return bad('JSON');
  }
  if (!Array.isArray(list) || list.length === 0) return bad('a list of parameters');
  const inputs = new Map(model.graph.inputs.map((input) => [input.name, input]));
  const seen = new Set<string>();
  return list.map((declaration: unknown, index) => {
    if (!isDeclaration(declaration))
      return bad(
        `entry ${index} to have a name, a shape, an initial distribution, decays, and no other update than 'average'`,
      );
    const input = inputs.get(declaration.name);
    const sameShape = input?.shape?.join() === declaration.shape.join();
    if (input?.type !== 'float32' || !sameShape)
      bad(`${declaration.name} to be a float32 input of shape [${declaration.shape}]`);
    if (seen.has(declaration.name)) bad(`each name once, got ${declaration.name} twice`);
    seen.add(declaration.name);
    const { name, shape, initial, decays, update, hidden } = declaration;
    return {
      name,
      shape,
      initial,
      decays,
      ...(update && { update: { kind: update.kind, momentum: update.momentum } }),
      ...(hidden !== undefined && { hidden }),
    };
  });
}

/**
 * The first values of all parameters as one flat vector in declaration order: each drawn from its own stream of
 * `seed`, rounded to float32 once, so that every platform gets the same bits. Throws `OnnxError` `bad-parameters` when
 * one's values are given elsewhere.
 */
export function initializeParameters(
  declarations: readonly ParameterDeclaration[],
  seed: string,
): Float32Array {
  const layout = createLayout(declarations);
  const vector = new Float32Array(layout.length);
  const random = createRandom(seed);
  declarations.forEach(({ name, initial }, index) => {
    const slot = layout.slots[index];
    if (!slot) return;
    const values = tensorView(vector, slot);
    if (initial.kind === 'given')
      throw new OnnxError(`parameter ${name}: expected first values to draw, they are given elsewhere`, {
        code: 'bad-parameters',
        name,
      });
    if (initial.kind === 'constant') {
      values.fill(Math.fround(initial.value));
      return;
    }
    const stream = random.fork(name);
    for (let i = 0; i < values.length; i++) values[i] = Math.fround(initial.limit * (2 * stream.unit() - 1));
  });
  return vector;
}

/**
 * The inference model: parameters become initializers with the values of `vector`, and only what `outputs` needs
 * remains (for gpt: input `tokens`, output `logits`). Throws `OnnxError` for a vector of another length.
 */
export function embedParameters(
  model: Model,
  vector: Float32Array,
  outputs: readonly string[] = ['logits'],
): Model {
  const declarations = parametersOf(model);
  const layout = createLayout(declarations);
  if (vector.length !== layout.length)
    throw new OnnxError(`expected ${layout.length} parameter values, got ${vector.length}`, {
      code: 'bad-parameters',
      expected: layout.length,
      length: vector.length,
    });
  const weights = layout.slots.map(
    (slot): Tensor => ({
      name: slot.name,
      type: 'float32',
      shape: slot.shape,
      data: tensorView(vector, slot).slice(),
    }),
  );
  const names = new Set(weights.map(({ name }) => name));
  const { [parametersKey]: _, ...metadata } = model.metadata;
  return pruneModel(
    {
      ...model,
      metadata,
      graph: {
        ...model.graph,
        inputs: model.graph.inputs.filter(({ name }) => !names.has(name)),
        initializers: [...model.graph.initializers, ...weights],
      },
    },
    outputs,
  );
}
