/**
 * What gradient rules build with. A `Backward` goes on from a forward model: it tells what is known of values
 * (lookups), adds nodes (building), and makes the values that many rules need from others (derived).
 */
import {
  type Attributes,
  type Dimension,
  type ElementType,
  type GraphBuilder,
  int,
  type Model,
  type Node,
  type Tensor,
  tensorAttribute,
} from '@murmuration/onnx';
import { createDimensionValues } from './dimension-values.ts';
import { typeCodes } from './element-types.ts';
import { AutodiffError } from './errors.ts';
import { createKnownGraph, type KnownGraph } from './known-graph.ts';

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

type Lookups = Pick<
  Backward,
  'shapeOf' | 'knownShape' | 'typeOf' | 'numbersOf' | 'constantOf' | 'producerOf'
>;
type Building = Pick<Backward, 'graph' | 'op' | 'ops' | 'shapeValue' | 'sizeValue' | 'sizesValue'>;
type Derived = Omit<Backward, keyof Lookups | keyof Building>;

const createLookups = ({ known, constants, producers }: KnownGraph): Lookups => ({
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
  producerOf: (value) => producers.get(value),
});

function createBuilding(graph: GraphBuilder, model: Model, { shapeOf, knownShape }: Lookups): Building {
  const dimensions = createDimensionValues(graph, model.graph.inputs);
  const shapeFromSizes = (value: string, { start, end }: Attributes): string | undefined => {
    const shape = knownShape(value);
    const [from, to] = [start, end].map((limit) => (limit?.kind === 'int' ? limit.value : undefined));
    return shape && dimensions.list(shape.slice(from ?? 0, to ?? shape.length));
  };
  const op: Backward['op'] = (operator, inputs, attributes = {}, domain = undefined) => {
    const sizes = operator === 'Shape' ? shapeFromSizes(inputs[0] ?? '', attributes) : undefined;
    return sizes ?? graph.node(operator, inputs, attributes, `backward.${operator}`, domain);
  };
  const sizesValue: Backward['sizesValue'] = (value, axes) => {
    const shape = shapeOf(value);
    const sizes = dimensions.list(axes.map((axis) => shape[axis] ?? '?'));
    return sizes ?? op('Gather', [op('Shape', [value]), graph.int64s(axes)]);
  };
  return {
    graph,
    op,
    ops(operator, inputs, outputs, attributes = {}, domain = undefined) {
      const stems = Array.from({ length: outputs }, () => `backward.${operator}`);
      return graph.nodes(operator, inputs, stems, attributes, domain);
    },
    shapeValue: (value) => op('Shape', [value]),
    sizeValue: (value, axis) => sizesValue(value, [axis]),
    sizesValue,
  };
}

function createDerived({ shapeOf, knownShape, typeOf }: Lookups, building: Building): Derived {
  const { graph, op, shapeValue, sizesValue } = building;
  const derived: Derived = {
    countValue(value, axes) {
      const shape = shapeOf(value);
      const sizes = axes.map((axis) => shape[axis]);
      if (sizes.every((size) => typeof size === 'number'))
        return derived.number(
          sizes.reduce((product, size) => product * size, 1),
          value,
        );
      const count = op('ReduceProd', [sizesValue(value, axes)], { keepdims: int(0) });
      return derived.castLike(count, value);
    },
    number(value, like) {
      const type = typeOf(like);
      if (type === 'float32') return graph.float32(value);
      if (type === 'float64') return graph.float64(value);
      throw new AutodiffError(`expected float32 or float64 values, got ${type}`, {
        code: 'unsupported',
        type,
      });
    },
    castLike(value, like) {
      const type = typeOf(like);
      if (typeOf(value) === type) return value;
      return op('Cast', [value], { to: int(typeCodes[type === 'float64' ? 'float64' : 'float32']) });
    },
    zerosLike(value) {
      const type = typeOf(value);
      const data = type === 'float64' ? Float64Array.of(0) : Float32Array.of(0);
      const zero: Tensor = { name: '', type, shape: [1], data };
      return op('ConstantOfShape', [shapeValue(value)], { value: tensorAttribute(zero) });
    },
    reshapeLike(value, like) {
      const shape = knownShape(like);
      const constant = shape && constantTarget(knownShape(value) ?? [], shape);
      if (constant) return op('Reshape', [value, graph.int64s(constant)]);
      return op('Reshape', [value, shapeValue(like)], shape?.includes(0) ? allowZero : {});
    },
    expandLike: (value, like) => op('Expand', [value, shapeValue(like)]),
  };
  return derived;
}

/** Starts a backward graph on top of a forward model. */
export function createBackward(model: Model): Backward {
  const knownGraph = createKnownGraph(model);
  const lookups = createLookups(knownGraph);
  const building = createBuilding(knownGraph.graph, model, lookups);
  return { ...lookups, ...building, ...createDerived(lookups, building) };
}
