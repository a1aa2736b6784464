import {
  type Attributes,
  createGraphBuilder,
  type Dimension,
  type ElementType,
  type GraphBuilder,
  inferShapes,
  int,
  type KnownValue,
  type Model,
  type Node,
  type Tensor,
} from '@murmuration/onnx';
import { AutodiffError } from './errors.ts';

/** What gradient rules build with: the forward graph, what is known of its values, and nodes to append. */
export interface Backward {
  readonly graph: GraphBuilder;
  /** Adds a node with one output, computed from values of the same float type, and gives its name. */
  op(operator: string, inputs: readonly string[], attributes?: Attributes): string;
  shapeOf(value: string): readonly Dimension[];
  typeOf(value: string): ElementType;
  /** Constant integer elements of a value, when they are known. */
  numbersOf(value: string): readonly number[] | undefined;
  /** An int64 list with the value's shape: a constant where that is known, else made at run time. */
  shapeValue(value: string): string;
  /** The number of elements along axes of a value, as a scalar of its type. */
  countValue(value: string, axes: readonly number[]): string;
  /** A constant without dimensions of the same type as `like`. */
  number(value: number, like: string): string;
  /** A value converted to the float type of `like`. */
  castLike(value: string, like: string): string;
  /** Zeros of a value's shape and type. */
  zerosLike(value: string): string;
  /** The node that gives a value, also one of the backward graph. */
  producerOf(value: string): Node | undefined;
}

/** `TensorProto.DataType` of double precision and of all else that gradients can be. */
const float64Code = 11;
const float32Code = 1;

/** Starts a backward graph on top of a forward model. */
export function createBackward(model: Model): Backward {
  const known = new Map<string, KnownValue>(inferShapes(model));
  const graph = createGraphBuilder(model.graph.name, model);
  const producers = new Map<string, Node>();
  for (const node of model.graph.nodes) for (const output of node.outputs) producers.set(output, node);

  const shapeOf = (value: string): readonly Dimension[] => {
    const shape = known.get(value)?.shape;
    if (!shape)
      throw new AutodiffError(`value ${value}: expected a known rank, shape inference found none`, {
        code: 'unknown-shape',
        value,
      });
    return shape;
  };
  const typeOf = (value: string): ElementType => known.get(value)?.type ?? 'float32';

  const scalar = (value: number, type: ElementType): string => {
    if (type === 'float32') return graph.float32(value);
    if (type !== 'float64')
      throw new AutodiffError(`expected float32 or float64 values, got ${type}`, {
        code: 'unsupported',
        type,
      });
    return graph.float64(value);
  };

  const backward: Backward = {
    graph,
    op(operator, inputs, attributes = {}) {
      const output = graph.node(operator, inputs, attributes, `backward.${operator}`);
      const type = inputs[0] === undefined ? undefined : known.get(inputs[0])?.type;
      known.set(output, { type: type ?? 'float32' });
      producers.set(output, { name: output, operator, domain: '', inputs, outputs: [output], attributes });
      return output;
    },
    shapeOf,
    typeOf,
    numbersOf(value) {
      const elements = known.get(value)?.elements;
      return elements?.every((element) => typeof element === 'number') ? (elements as number[]) : undefined;
    },
    shapeValue(value) {
      const shape = shapeOf(value);
      return shape.every((dimension) => typeof dimension === 'number')
        ? graph.int64s(shape)
        : backward.op('Shape', [value]);
    },
    countValue(value, axes) {
      const shape = shapeOf(value);
      const sizes = axes.map((axis) => shape[axis]);
      if (sizes.every((size) => typeof size === 'number'))
        return backward.number(
          sizes.reduce((product, size) => product * size, 1),
          value,
        );
      const chosen = backward.op('Gather', [backward.op('Shape', [value]), graph.int64s(axes)]);
      const count = backward.op('ReduceProd', [chosen], { keepdims: int(0) });
      return backward.castLike(count, value);
    },
    number: (value, like) => scalar(value, typeOf(like)),
    castLike(value, like) {
      const type = typeOf(like) === 'float64' ? 'float64' : 'float32';
      const output = backward.op('Cast', [value], {
        to: int(type === 'float64' ? float64Code : float32Code),
      });
      known.set(output, { type });
      return output;
    },
    zerosLike(value) {
      const type = typeOf(value);
      const tensor: Tensor = {
        name: '',
        type,
        shape: [1],
        data: type === 'float64' ? Float64Array.of(0) : Float32Array.of(0),
      };
      return backward.op('ConstantOfShape', [backward.shapeValue(value)], {
        value: { kind: 'tensor', value: tensor },
      });
    },
    producerOf: (value) => producers.get(value),
  };
  return backward;
}
