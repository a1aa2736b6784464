import { irVersion, microsoftVersion, opsetVersion } from './defaults.ts';
import {
  type Attributes,
  type Dimension,
  type ElementType,
  float32Tensor,
  type Graph,
  int64Tensor,
  type Model,
  microsoft,
  type Node,
  type Tensor,
  type ValueInfo,
} from './model.ts';
import { createNames, type Names } from './names.ts';
import { allNames } from './subgraphs.ts';

/** Collects nodes in the order in which they are added; every method that makes a value gives its name. */
export interface GraphBuilder {
  /** Declares a graph input. */
  input(name: string, type: ElementType, shape: readonly Dimension[]): string;
  /** Declares a graph output, which some node gives. */
  output(name: string, type: ElementType, shape?: readonly Dimension[]): void;
  /** Adds constant data; the name must be new. */
  initializer(tensor: Tensor): string;
  /** A constant list of integers; equal lists share one initializer. */
  int64s(values: readonly number[]): string;
  /** A constant integer without dimensions. */
  int64(value: number): string;
  /** A constant number without dimensions. */
  float32(value: number): string;
  /** The same in double precision. */
  float64(value: number): string;
  /** Adds a node with one output, named `output` or after the operator, and gives the output's name. */
  node(
    operator: string,
    inputs: readonly string[],
    attributes?: Attributes,
    output?: string,
    domain?: string,
  ): string;
  /** Adds a node with several outputs; an empty name leaves one out. */
  nodes(
    operator: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes?: Attributes,
    domain?: string,
  ): readonly string[];
  /** A builder for a graph in an attribute; its names differ from all others of this builder. */
  subgraph(name: string): GraphBuilder;
  /** The graph so far. */
  graph(): Graph;
  /** The model so far. */
  model(metadata?: Readonly<Record<string, string>>): Model;
}

/** Operators of onnxruntime's own domain that builders may add without naming it. */
const microsoftOperators: ReadonlySet<string> = new Set(['FusedMatMul']);

/**
 * Starts an empty graph, or goes on from an existing model.
 *
 * @example
 * const builder = createGraphBuilder('line');
 * const x = builder.input('x', 'float32', ['batch', 3]);
 * builder.node('Mul', [x, builder.float32(2)], {}, 'y');
 * builder.output('y', 'float32', ['batch', 3]);
 * const bytes = writeModel(builder.model());
 */
export function createGraphBuilder(name: string, from?: Model): GraphBuilder {
  return createBuilder(name, from, createNames(from ? allNames(from.graph) : []));
}

function modelOf(graph: Graph, from: Model | undefined, metadata: Readonly<Record<string, string>>): Model {
  return {
    irVersion: from?.irVersion ?? irVersion,
    producer: 'murmuration',
    opsets: {
      '': opsetVersion,
      ...(graph.nodes.some((node) => node.domain === microsoft) ? { [microsoft]: microsoftVersion } : {}),
      ...from?.opsets,
    },
    metadata: { ...from?.metadata, ...metadata },
    graph,
  };
}

type Constants = Pick<GraphBuilder, 'int64s' | 'int64' | 'float32' | 'float64'>;

/** Constants by their values: equal ones are one initializer, named after them. */
function constantsIn(names: Names, add: (tensor: Tensor) => string): Constants {
  const known = new Map<string, string>();
  const constant = (key: string, make: (name: string) => Tensor): string => {
    const name = known.get(key) ?? add(make(names.fresh(key)));
    known.set(key, name);
    return name;
  };
  return {
    int64s: (values) => constant(`int64[${values}]`, (name) => int64Tensor(name, values)),
    int64: (value) => constant(`int64(${value})`, (name) => int64Tensor(name, [value], [])),
    float32: (value) => constant(`float32(${value})`, (name) => float32Tensor(name, [value], [])),
    float64: (value) =>
      constant(`float64(${value})`, (name) => ({
        name,
        type: 'float64',
        shape: [],
        data: Float64Array.of(value),
      })),
  };
}

function createBuilder(name: string, from: Model | undefined, names: Names): GraphBuilder {
  const nodes: Node[] = [...(from?.graph.nodes ?? [])];
  const inputs: ValueInfo[] = [...(from?.graph.inputs ?? [])];
  const outputs: ValueInfo[] = [...(from?.graph.outputs ?? [])];
  const initializers: Tensor[] = [...(from?.graph.initializers ?? [])];
  const initializer = (tensor: Tensor): string => {
    names.take(tensor.name);
    initializers.push(tensor);
    return tensor.name;
  };
  const builder: GraphBuilder = {
    ...constantsIn(names, initializer),
    input(inputName, type, shape) {
      names.take(inputName);
      inputs.push({ name: inputName, type, shape });
      return inputName;
    },
    output(outputName, type, shape) {
      outputs.push(shape ? { name: outputName, type, shape } : { name: outputName, type });
    },
    initializer,
    node: (operator, nodeInputs, attributes = {}, output = operator, domain) =>
      builder.nodes(operator, nodeInputs, [output], attributes, domain)[0] as string,
    nodes(operator, nodeInputs, stems, attributes = {}, domain) {
      const nodeOutputs = stems.map((stem) => (stem === '' ? '' : names.fresh(stem)));
      nodes.push({
        name: nodeOutputs.find((output) => output !== '') ?? operator,
        operator,
        domain: domain ?? (microsoftOperators.has(operator) ? microsoft : ''),
        inputs: [...nodeInputs],
        outputs: nodeOutputs,
        attributes,
      });
      for (const inner of Object.values(attributes))
        if (inner.kind === 'graph') for (const innerName of allNames(inner.value)) names.take(innerName);
      return nodeOutputs;
    },
    subgraph: (subgraphName) => createBuilder(subgraphName, undefined, names),
    graph: () => ({
      name,
      nodes: [...nodes],
      inputs: [...inputs],
      outputs: [...outputs],
      initializers: [...initializers],
    }),
    model: (metadata = {}) => modelOf(builder.graph(), from, metadata),
  };
  return builder;
}
