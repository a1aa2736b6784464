import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom, FactError } from '@murmuration/base';
import { type Dimension, int, type Model, type Node, readModel, type Tensor } from '@murmuration/onnx';
import { differentiate } from '../../src/index.ts';
import { type ConformanceCase, readCases } from './cases.ts';
import { caseKey } from './exceptions.ts';

type Random = ReturnType<typeof createRandom>;

const pick = <T>(random: Random, list: readonly T[]): T => list[random.below(list.length)] as T;

const sizes: readonly Dimension[] = [0, 1, 2, 5, 'n', '?', 2 ** 31, 2 ** 40, 2 ** 53 - 1];
const integers = [-(2n ** 53n), -9n, -1n, 0n, 1n, 7n, 2n ** 31n, 2n ** 53n];
const numbers = [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e30, 1e-30, 0.3, 1e6];

/** The case's model with short lists as constants, which rules look into. */
function withConstants(stored: ConformanceCase): Model {
  const model = readModel(stored.model);
  const constants = stored.inputs.filter(({ type, data }) => !type.startsWith('float') || data.length <= 8);
  const names = new Set(constants.map(({ name }) => name));
  const { graph } = model;
  const inputs = graph.inputs.filter(({ name }) => !names.has(name));
  return { ...model, graph: { ...graph, inputs, initializers: [...graph.initializers, ...constants] } };
}

/** A constant with one element replaced. */
function bent(random: Random, tensor: Tensor): Tensor {
  const { data } = tensor;
  if (data.length === 0) return tensor;
  const at = random.below(data.length);
  if (data instanceof BigInt64Array) return { ...tensor, data: data.with(at, pick(random, integers)) };
  return data instanceof Float32Array ? { ...tensor, data: data.with(at, pick(random, numbers)) } : tensor;
}

/** The model with other sizes of an input, or another number in a constant, or both. */
function bentModel(random: Random, model: Model): Model {
  const { graph } = model;
  const which = random.below(Math.max(1, graph.inputs.length));
  const inputs = graph.inputs.map((input, index) =>
    index === which && random.below(2) === 0
      ? { ...input, shape: input.shape?.map((size) => (random.below(2) ? size : pick(random, sizes))) ?? [] }
      : input,
  );
  const constant = random.below(Math.max(1, graph.initializers.length));
  const initializers = graph.initializers.map((tensor, index) =>
    index === constant && random.below(2) === 0 ? bent(random, tensor) : tensor,
  );
  return { ...model, graph: { ...graph, inputs, initializers } };
}

/** The model with the sum of one of its values as its loss. */
function withLoss(model: Model, value: string): Model {
  const { graph } = model;
  const sum: Node = {
    name: 'sum',
    operator: 'ReduceSum',
    domain: '',
    inputs: [value],
    outputs: ['loss'],
    attributes: { keepdims: int(0) },
  };
  return { ...model, graph: { ...graph, nodes: [...graph.nodes, sum] } };
}

/** What a wrong request on a wrong model ends in; throws what is no typed error. */
function outcome(stored: ConformanceCase, seed: string): string {
  const random = createRandom(seed);
  try {
    const model = bentModel(random, withConstants(stored));
    const { inputs, initializers, nodes } = model.graph;
    const given = [...inputs, ...initializers];
    const floats = given.filter(({ type }) => type.startsWith('float'));
    const outputs = nodes.flatMap((node) => node.outputs);
    const any = [...given.map(({ name }) => name), ...outputs, 'nothing', ''];
    const names = Array.from({ length: 1 + random.below(3) }, () =>
      floats.length === 0 || random.below(20) === 0 ? pick(random, any) : pick(random, floats).name,
    );
    const value = random.below(20) === 0 ? pick(random, any) : pick(random, outputs);
    const parameters = random.below(10) === 0 ? names : [...new Set(names)];
    const hold = pick(random, ['everything', 'costly', 'cuts'] as const);
    differentiate(withLoss(model, value), { loss: 'loss', parameters, hold });
    return 'model';
  } catch (error) {
    if (error instanceof FactError) return `${error.name} ${error.code}`;
    throw new Error(`seed ${seed}`, { cause: error });
  }
}

test('differentiate ends in a model or a typed error whatever is asked of an official model', () => {
  const outcomes = new Map<string, number>();
  for (const stored of readCases()) {
    const end = outcome(stored, `${caseKey(stored)} request`);
    outcomes.set(end, (outcomes.get(end) ?? 0) + 1);
  }
  assert.ok((outcomes.get('model') ?? 0) > 300, JSON.stringify([...outcomes]));
  assert.ok(outcomes.size > 4, JSON.stringify([...outcomes]));
});
