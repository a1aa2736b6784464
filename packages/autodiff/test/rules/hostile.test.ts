import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom, FactError } from '@murmuration/base';
import type { Attribute, Model, Node, Tensor, ValueInfo } from '@murmuration/onnx';
import { differentiate } from '../../src/index.ts';
import { cases } from './cases.ts';
import { build, caseName, type RuleCase } from './rule-case.ts';

type Random = ReturnType<typeof createRandom>;

const whole = [-(2 ** 53) + 1, -(2 ** 31), -9, -2, -1, 0, 1, 2, 3, 7, 64, 2 ** 31, 2 ** 53 - 1];

const pick = <T>(random: Random, list: readonly T[]): T => list[random.below(list.length)] as T;

/** A list with one element replaced, one left out or one more. */
function bent<T>(random: Random, list: readonly T[], value: T): readonly T[] {
  const at = list.length === 0 ? 0 : random.below(list.length);
  const kind = random.below(3);
  if (kind === 0) return list.toSpliced(at, 1);
  return kind === 1 ? list.toSpliced(at, 0, value) : list.toSpliced(at, 1, value);
}

function bentAttribute(random: Random, attribute: Attribute): Attribute {
  switch (attribute.kind) {
    case 'int':
      return { kind: 'int', value: pick(random, whole) };
    case 'ints':
      return { kind: 'ints', value: bent(random, attribute.value, pick(random, whole)) };
    case 'float':
      return { kind: 'float', value: pick(random, [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) };
    case 'text':
      return {
        kind: 'text',
        value: pick(random, ['', '...', 'ii->', `${attribute.value},`, 'reflect', 'mul']),
      };
    default:
      return { kind: 'int', value: 1 };
  }
}

function bentNode(random: Random, node: Node): Node {
  const names = Object.keys(node.attributes);
  const name = names.length === 0 ? undefined : pick(random, names);
  const kind = random.below(4);
  const { [name ?? '']: attribute, ...others } = node.attributes;
  if (attribute && kind < 2)
    return { ...node, attributes: { ...others, [name as string]: bentAttribute(random, attribute) } };
  if (attribute && kind === 2) return { ...node, attributes: others };
  if (kind === 3) return { ...node, inputs: bent(random, node.inputs, pick(random, [...node.inputs, ''])) };
  return { ...node, outputs: bent(random, node.outputs, 'more') };
}

function bentTensor(random: Random, tensor: Tensor): Tensor {
  if (!(tensor.data instanceof BigInt64Array)) return tensor;
  const list = bent(random, [...tensor.data], BigInt(pick(random, whole)));
  const values = tensor.shape.length === 1 ? list : list.slice(0, tensor.data.length);
  if (values.length !== tensor.data.length && tensor.shape.length !== 1) return tensor;
  const shape = tensor.shape.length === 1 ? [values.length] : tensor.shape;
  return { ...tensor, shape, data: BigInt64Array.from(values) };
}

const bentInput = (random: Random, input: ValueInfo): ValueInfo =>
  random.below(4) === 0
    ? { name: input.name, type: input.type }
    : { ...input, shape: bent(random, input.shape ?? [], pick(random, [0, 1, 2, 5, 'n', '?', 2 ** 40])) };

/** A model with one or two things changed that a stranger might have changed. */
function bentModel(random: Random, model: Model): Model {
  const { graph } = model;
  const replace = <T>(list: readonly T[], change: (random: Random, value: T) => T, last = list.length) => {
    const at = random.below(Math.max(1, last));
    return list.map((value, index) => (index === at ? change(random, value) : value));
  };
  switch (random.below(3)) {
    case 0:
      return { ...model, graph: { ...graph, nodes: replace(graph.nodes, bentNode, 1) } };
    case 1:
      return { ...model, graph: { ...graph, initializers: replace(graph.initializers, bentTensor) } };
    default:
      return { ...model, graph: { ...graph, inputs: replace(graph.inputs, bentInput) } };
  }
}

/** What differentiating a bent model ends in; throws what is no typed error. */
function outcome(rule: RuleCase, seed: string): string {
  const random = createRandom(seed);
  const { model, parameters } = build(rule, { shapes: random.below(2) === 0 ? 'static' : 'symbolic' });
  let hostile = bentModel(random, model);
  if (random.below(2) === 0) hostile = bentModel(random, hostile);
  try {
    differentiate(hostile, { loss: model.graph.outputs[0]?.name ?? '', parameters });
    return 'model';
  } catch (error) {
    if (error instanceof FactError) return `${error.name} ${error.code}`;
    throw new Error(`seed ${seed}`, { cause: error });
  }
}

test('differentiate ends in a model or a typed error whatever is changed about an operator', () => {
  const outcomes = new Map<string, number>();
  for (const rule of cases)
    for (let round = 0; round < 6; round++) {
      const end = outcome(rule, `${caseName(rule)} ${round}`);
      outcomes.set(end, (outcomes.get(end) ?? 0) + 1);
    }
  assert.ok((outcomes.get('model') ?? 0) > 100, JSON.stringify([...outcomes]));
  assert.ok(outcomes.size > 3, JSON.stringify([...outcomes]));
});
