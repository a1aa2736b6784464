/**
 * What gradient rules build with. A `Backward` goes on from a forward model: whatever it appends has a known type and,
 * as far as shapes can be inferred, a known shape at once, so that a rule may ask for the shape of what it just made.
 */
import {
  type Attributes,
  createGraphBuilder,
  type Dimension,
  type ElementType,
  type GraphBuilder,
  inferNode,
  inferShapes,
  int,
  type KnownValue,
  type Model,
  type Node,
  type Tensor,
} from '@murmuration/onnx';
import { createDimensionValues } from './dimension-values.ts';
import { AutodiffError } from './errors.ts';

/** What gradient rules build with: the forward graph, what is known of its values, and nodes to append. */
export interface Backward {
  /** Appends to the graph; whatever it makes is known to all methods below at once. */
  readonly graph: GraphBuilder;
  /**
   * Adds a node with one output and gives its name; `domain` where the operator is not ONNX's own. A `Shape` becomes
   * arithmetic on sizes of graph inputs where it can, so that it does not hold on to the value.
   */
  op(operator: string, inputs: readonly string[], attributes?: Attributes, domain?: string): string;
  /** Adds a node with a number of outputs and gives their names. */
  ops(
    operator: string,
    inputs: readonly string[],
    outputs: number,
    attributes?: Attributes,
    domain?: string,
  ): readonly string[];
  /** The shape of a value; throws `AutodiffError` `unknown-shape` if not even the rank is known. */
  shapeOf(value: string): readonly Dimension[];
  /** The shape of a value, if at least its rank is known. */
  knownShape(value: string): readonly Dimension[] | undefined;
  typeOf(value: string): ElementType;
  /** Constant integer elements of a value, when they are known. */
  numbersOf(value: string): readonly number[] | undefined;
  /** The data of a value that is an initializer. */
  constantOf(value: string): Tensor | undefined;
  /** An int64 list with the value's shape: a constant where that is known, else made at run time. */
  shapeValue(value: string): string;
  /** One dimension of a value as an int64 list of one element: a constant where that is known. */
  sizeValue(value: string, axis: number): string;
  /** Dimensions of a value along axes as an int64 list: a constant where all are known. */
  sizesValue(value: string, axes: readonly number[]): string;
  /** The number of elements along axes of a value, as a scalar of its type. */
  countValue(value: string, axes: readonly number[]): string;
  /** A constant without dimensions of the same type as `like`. */
  number(value: number, like: string): string;
  /** A value converted to the float type of `like`. */
  castLike(value: string, like: string): string;
  /** Zeros of a value's shape and type. */
  zerosLike(value: string): string;
  /** A value with its elements in order in the shape of `like`; by a constant shape wherever that is possible. */
  reshapeLike(value: string, like: string): string;
  /** A value repeated to the shape of `like`. */
  expandLike(value: string, like: string): string;
  /** The node that gives a value, also one of the backward graph. */
  producerOf(value: string): Node | undefined;
}

/** `TensorProto.DataType` of double precision and of all else that gradients can be. */
const float64Code = 11;
const float32Code = 1;

const allowZero: Attributes = { allowzero: int(1) };

/**
 * A constant target for a reshape to a shape with symbolic dimensions: 0 copies a dimension that is the same before,
 * −1 stands for a single other one. Absent where that does not do.
 */
function constantTarget(from: readonly Dimension[], to: readonly Dimension[]): readonly number[] | undefined {
  if (to.includes(0)) return undefined;
  const target = to.map((size, axis) =>
    typeof size === 'number' ? size : size !== '?' && size === from[axis] ? 0 : -1,
  );
  return target.filter((size) => size === -1).length <= 1 ? target : undefined;
}

/** Numbers that an int64 constant can hold; a rule may have computed them from what a stranger wrote. */
function wholeNumbers(values: readonly number[]): readonly number[] {
  const bad = values.find((value) => !Number.isSafeInteger(value));
  if (bad === undefined) return values;
  throw new AutodiffError(`expected whole numbers below 2^53 as sizes, got ${bad}`, { code: 'unsupported' });
}

/** A graph builder that tells of everything that it makes. */
function observed(
  graph: GraphBuilder,
  onConstant: (name: string, tensor: Omit<Tensor, 'name'>) => void,
  onNode: (node: Node) => void,
  onInput: (name: string, known: KnownValue) => void,
): GraphBuilder {
  const told = (name: string, type: ElementType, shape: readonly number[], data: Tensor['data']): string => {
    onConstant(name, { type, shape, data });
    return name;
  };
  const builder: GraphBuilder = {
    ...graph,
    input(name, type, shape) {
      onInput(name, { type, shape });
      return graph.input(name, type, shape);
    },
    initializer: (tensor) => told(graph.initializer(tensor), tensor.type, tensor.shape, tensor.data),
    int64s: (values) =>
      told(graph.int64s(wholeNumbers(values)), 'int64', [values.length], BigInt64Array.from(values, BigInt)),
    int64: (value) => {
      const [whole = 0] = wholeNumbers([value]);
      return told(graph.int64(whole), 'int64', [], BigInt64Array.of(BigInt(whole)));
    },
    float32: (value) => told(graph.float32(value), 'float32', [], Float32Array.of(value)),
    float64: (value) => told(graph.float64(value), 'float64', [], Float64Array.of(value)),
    node: (operator, inputs, attributes = {}, output = operator, domain = undefined) =>
      builder.nodes(operator, inputs, [output], attributes, domain)[0] as string,
    nodes(operator, inputs, stems, attributes = {}, domain = undefined) {
      const outputs = graph.nodes(operator, inputs, stems, attributes, domain);
      const name = outputs.find((output) => output !== '') ?? operator;
      onNode({ name, operator, domain: domain ?? '', inputs, outputs, attributes });
      return outputs;
    },
  };
  return builder;
}

/** Starts a backward graph on top of a forward model. */
export function createBackward(model: Model): Backward {
  const known = new Map<string, KnownValue>(inferShapes(model));
  const producers = new Map<string, Node>();
  const constants = new Map(model.graph.initializers.map((tensor) => [tensor.name, tensor]));
  const noteProducer = (node: Node): void => {
    for (const output of node.outputs) if (output !== '') producers.set(output, node);
  };
  model.graph.nodes.forEach(noteProducer);
  const graph = observed(
    createGraphBuilder(model.graph.name, model),
    (name, { type, shape, data }) => {
      constants.set(name, { name, type, shape, data });
      const listed = type === 'int64' && shape.length <= 1;
      known.set(name, { type, shape, elements: listed ? Array.from(data, Number) : undefined });
    },
    (node) => {
      noteProducer(node);
      inferNode(node, known).forEach((value, index) => {
        const output = node.outputs[index];
        if (output) known.set(output, value);
      });
    },
    (name, value) => known.set(name, value),
  );

  const dimensions = createDimensionValues(graph, model.graph.inputs);
  const shapeFromSizes = (value: string, { start, end }: Attributes): string | undefined => {
    const shape = known.get(value)?.shape;
    const [from, to] = [start, end].map((limit) => (limit?.kind === 'int' ? limit.value : undefined));
    return shape && dimensions.list(shape.slice(from ?? 0, to ?? shape.length));
  };

  const backward: Backward = {
    graph,
    op(operator, inputs, attributes = {}, domain = undefined) {
      const sizes = operator === 'Shape' ? shapeFromSizes(inputs[0] ?? '', attributes) : undefined;
      return sizes ?? graph.node(operator, inputs, attributes, `backward.${operator}`, domain);
    },
    ops(operator, inputs, outputs, attributes = {}, domain = undefined) {
      const stems = Array.from({ length: outputs }, () => `backward.${operator}`);
      return graph.nodes(operator, inputs, stems, attributes, domain);
    },
    shapeOf(value) {
      const shape = known.get(value)?.shape;
      if (!shape)
        throw new AutodiffError(`value ${value}: expected a known rank, shape inference found none`, {
          code: 'unknown-shape',
          value,
        });
      return shape;
    },
    knownShape: (value) => known.get(value)?.shape,
    typeOf: (value) => known.get(value)?.type ?? 'float32',
    numbersOf(value) {
      const elements = known.get(value)?.elements;
      return elements?.every((element) => typeof element === 'number') ? (elements as number[]) : undefined;
    },
    constantOf: (value) => constants.get(value),
    shapeValue: (value) => backward.op('Shape', [value]),
    sizeValue: (value, axis) => backward.sizesValue(value, [axis]),
    sizesValue(value, axes) {
      const shape = backward.shapeOf(value);
      const sizes = dimensions.list(axes.map((axis) => shape[axis] ?? '?'));
      return sizes ?? backward.op('Gather', [backward.op('Shape', [value]), graph.int64s(axes)]);
    },
    countValue(value, axes) {
      const shape = backward.shapeOf(value);
      const sizes = axes.map((axis) => shape[axis]);
      if (sizes.every((size) => typeof size === 'number'))
        return backward.number(
          sizes.reduce((product, size) => product * size, 1),
          value,
        );
      const count = backward.op('ReduceProd', [backward.sizesValue(value, axes)], { keepdims: int(0) });
      return backward.castLike(count, value);
    },
    number(value, like) {
      const type = backward.typeOf(like);
      if (type === 'float32') return graph.float32(value);
      if (type === 'float64') return graph.float64(value);
      throw new AutodiffError(`expected float32 or float64 values, got ${type}`, {
        code: 'unsupported',
        type,
      });
    },
    castLike(value, like) {
      const type = backward.typeOf(like);
      if (backward.typeOf(value) === type) return value;
      return backward.op('Cast', [value], { to: int(type === 'float64' ? float64Code : float32Code) });
    },
    zerosLike(value) {
      const type = backward.typeOf(value);
      const data = type === 'float64' ? Float64Array.of(0) : Float32Array.of(0);
      return backward.op('ConstantOfShape', [backward.shapeValue(value)], {
        value: { kind: 'tensor', value: { name: '', type, shape: [1], data } },
      });
    },
    reshapeLike(value, like) {
      const from = known.get(value)?.shape ?? [];
      const shape = known.get(like)?.shape;
      const constant = shape && constantTarget(from, shape);
      if (constant) return backward.op('Reshape', [value, graph.int64s(constant)]);
      return backward.op('Reshape', [value, backward.shapeValue(like)], shape?.includes(0) ? allowZero : {});
    },
    expandLike: (value, like) => backward.op('Expand', [value, backward.shapeValue(like)]),
    producerOf: (value) => producers.get(value),
  };
  return backward;
}
