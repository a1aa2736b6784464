/** Element types this package can hold, by the names of their JavaScript counterparts. */
export type ElementType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'bool';

/** Values of a tensor, row-major. `float16` and `bfloat16` are raw 16-bit words, `bool` is 0 or 1 in bytes. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

/**
 * One dimension: a number, the name of a symbolic size (`batch`, or a product such as `12*batch*context`), or
 * `?` for one of which nothing is known (never equal to another `?`).
 */
export type Dimension = number | string;

/** Constant data with its type and shape. */
export interface Tensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** The type of a named value; without `shape` even the rank is unknown. */
export interface ValueInfo {
  readonly name: string;
  readonly type: ElementType;
  readonly shape?: readonly Dimension[];
  /** The file leaves the type of this value of a nested graph to inference; `type` is a guess. */
  readonly untyped?: true;
}

/** A setting of a node: a value together with its kind. */
export type Attribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'tensor'; readonly value: Tensor }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'texts'; readonly value: readonly string[] }
  | { readonly kind: 'graph'; readonly value: Graph };

/** The settings of a node by name. */
export type Attributes = Readonly<Record<string, Attribute>>;

/** One operator. An empty name among `inputs` or `outputs` is an optional one left out. */
export interface Node {
  readonly name: string;
  readonly operator: string;
  /** Empty for ONNX's own operators, `com.microsoft` for onnxruntime's. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/**
 * Nodes between named inputs and outputs, and the constants that they use. A graph inside an attribute (a branch of
 * If, the body of Loop or Scan) may also use values of the graphs around it.
 */
export interface Graph {
  readonly name: string;
  /** In an order in which each node's inputs come before it. */
  readonly nodes: readonly Node[];
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly initializers: readonly Tensor[];
}

/** An ONNX model as a plain value; doc strings and stored shapes of inner values are not kept. */
export interface Model {
  readonly irVersion: number;
  readonly producer: string;
  /** Version of each operator domain in use. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly graph: Graph;
}

/** The domain of onnxruntime's own operators. */
export const microsoft = 'com.microsoft';

/** An integer attribute. */
export const int = (value: number): Attribute => ({ kind: 'int', value });
/** A float attribute; the format holds float32. */
export const float = (value: number): Attribute => ({ kind: 'float', value: Math.fround(value) });
/** A text attribute. */
export const text = (value: string): Attribute => ({ kind: 'text', value });
/** An attribute that is a list of integers. */
export const ints = (value: readonly number[]): Attribute => ({ kind: 'ints', value });
/** An attribute that is a list of float32 numbers. */
export const floats = (value: readonly number[]): Attribute => ({
  kind: 'floats',
  value: value.map(Math.fround),
});
/** A tensor as an attribute. */
export const tensorAttribute = (value: Tensor): Attribute => ({ kind: 'tensor', value });
/** A graph as an attribute. */
export const graphAttribute = (value: Graph): Attribute => ({ kind: 'graph', value });

/** A node's integer attribute, or the operator's default. */
export function intOf(node: Node, name: string, otherwise: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === 'int' ? attribute.value : otherwise;
}

/** A node's float attribute, or the operator's default. */
export function floatOf(node: Node, name: string, otherwise: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === 'float' ? attribute.value : otherwise;
}

/** A node's text attribute, or the operator's default. */
export function textOf(node: Node, name: string, otherwise: string): string {
  const attribute = node.attributes[name];
  return attribute?.kind === 'text' ? attribute.value : otherwise;
}

/** A node's list of integers, if it has one. */
export function intsOf(node: Node, name: string): readonly number[] | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === 'ints' ? attribute.value : undefined;
}

/** A node's tensor attribute, if it has one. */
export function tensorOf(node: Node, name: string): Tensor | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === 'tensor' ? attribute.value : undefined;
}

/** A node's graph attribute (`then_branch`, `else_branch`, `body`), if it has one. */
export function graphOf(node: Node, name: string): Graph | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === 'graph' ? attribute.value : undefined;
}

/** An int64 tensor. */
export const int64Tensor = (name: string, values: readonly number[], shape = [values.length]): Tensor => ({
  name,
  type: 'int64',
  shape,
  data: BigInt64Array.from(values, BigInt),
});

/** A float32 tensor. */
export const float32Tensor = (
  name: string,
  values: readonly number[] | Float32Array,
  shape: readonly number[] = [values.length],
): Tensor => ({ name, type: 'float32', shape, data: Float32Array.from(values) });
