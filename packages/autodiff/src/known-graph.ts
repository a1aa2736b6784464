/**
 * A graph that grows and of which everything is known at once: types, shapes as far as they can be inferred, the data
 * of constants, and which node gives a value.
 */
import {
  createGraphBuilder,
  type ElementType,
  type GraphBuilder,
  inferNode,
  inferShapes,
  type KnownValue,
  type Model,
  type Node,
  type Tensor,
} from '@murmuration/onnx';
import { AutodiffError } from './errors.ts';

/** What is known of the values of a graph; the maps grow with it. */
export interface KnownGraph {
  /** Appends to the graph. */
  readonly graph: GraphBuilder;
  readonly known: ReadonlyMap<string, KnownValue>;
  readonly producers: ReadonlyMap<string, Node>;
  readonly constants: ReadonlyMap<string, Tensor>;
}

/** Numbers that an int64 constant can hold; a rule may have computed them from what a stranger wrote. */
function wholeNumbers(values: readonly number[]): readonly number[] {
  const bad = values.find((value) => !Number.isSafeInteger(value));
  if (bad === undefined) return values;
  throw new AutodiffError(`expected whole numbers below 2^53 as sizes, got ${bad}`, { code: 'unsupported' });
}

/** Goes on from a model. */
export function createKnownGraph(model: Model): KnownGraph {
  const known = new Map<string, KnownValue>(inferShapes(model));
  const producers = new Map<string, Node>();
  const constants = new Map(model.graph.initializers.map((tensor) => [tensor.name, tensor]));
  const noteProducer = (node: Node): void => {
    for (const output of node.outputs) if (output !== '') producers.set(output, node);
  };
  model.graph.nodes.forEach(noteProducer);
  const noteConstant = (
    name: string,
    type: ElementType,
    shape: readonly number[],
    data: Tensor['data'],
  ): string => {
    constants.set(name, { name, type, shape, data });
    const listed = type === 'int64' && shape.length <= 1;
    known.set(name, { type, shape, elements: listed ? Array.from(data, Number) : undefined });
    return name;
  };
  const noteNode = (node: Node): void => {
    noteProducer(node);
    inferNode(node, known).forEach((value, index) => {
      const output = node.outputs[index];
      if (output) known.set(output, value);
    });
  };
  const inner = createGraphBuilder(model.graph.name, model);
  const graph: GraphBuilder = {
    ...inner,
    input(name, type, shape) {
      known.set(name, { type, shape });
      return inner.input(name, type, shape);
    },
    initializer: (tensor) => noteConstant(inner.initializer(tensor), tensor.type, tensor.shape, tensor.data),
    int64s(values) {
      const data = BigInt64Array.from(wholeNumbers(values), BigInt);
      return noteConstant(inner.int64s(values), 'int64', [values.length], data);
    },
    int64(value) {
      const data = BigInt64Array.from(wholeNumbers([value]), BigInt);
      return noteConstant(inner.int64(value), 'int64', [], data);
    },
    float32: (value) => noteConstant(inner.float32(value), 'float32', [], Float32Array.of(value)),
    float64: (value) => noteConstant(inner.float64(value), 'float64', [], Float64Array.of(value)),
    node: (operator, inputs, attributes = {}, output = operator, domain = undefined) =>
      graph.nodes(operator, inputs, [output], attributes, domain)[0] as string,
    nodes(operator, inputs, stems, attributes = {}, domain = undefined) {
      const outputs = inner.nodes(operator, inputs, stems, attributes, domain);
      const name = outputs.find((output) => output !== '') ?? operator;
      noteNode({ name, operator, domain: domain ?? '', inputs, outputs, attributes });
      return outputs;
    },
  };
  return { graph, known, producers, constants };
}
