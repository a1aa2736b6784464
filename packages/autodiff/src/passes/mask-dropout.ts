/**
 * Dropout with masks from outside. A `Dropout` node that is in training mode becomes y = where(mask, x / keep, 0) with
 * a bool graph input of x's shape, so that who runs the graph decides which values are dropped: by a seed, and the
 * same again after a restart. The masks are listed in metadata `murmuration.noise`.
 */
import {
  type Dimension,
  describeNode,
  inferShapes,
  type KnownValue,
  type Model,
  type Node,
  type Tensor,
  type ValueInfo,
} from '@murmuration/onnx';
import { AutodiffError } from '../errors.ts';
import { plainNode } from '../plain-node.ts';
import { hasTexts, readMetadata } from '../prepare/metadata.ts';
import { unsupported } from '../rules/rule.ts';
import { freshNames } from './fresh-names.ts';

/** The metadata key under which mask inputs are listed, as JSON: `{ name, keep }`. */
const noiseKey = 'murmuration.noise';

/** A bool input that is 1 with a probability, element by element. */
export interface NoiseDeclaration {
  readonly name: string;
  /** In (0, 1). */
  readonly keep: number;
}

const defaultRatio = 0.5;

const isNoise = (value: unknown): value is readonly NoiseDeclaration[] =>
  Array.isArray(value) &&
  value.every((entry) => {
    const { keep } = (entry ?? {}) as { keep?: unknown };
    return hasTexts(entry, 'name') && typeof keep === 'number' && keep > 0 && keep < 1;
  });

/** The masks that a model takes as inputs. Throws `AutodiffError` `bad-request` unless each is a bool input. */
export function noiseOf(model: Model): readonly NoiseDeclaration[] {
  const expected = 'a list of masks with name and keep';
  const list = readMetadata(model, { key: noiseKey, expected, holds: isNoise }) ?? [];
  const inputs = new Map(model.graph.inputs.map(({ name, type }) => [name, type]));
  const other = list.find(({ name }) => inputs.get(name) !== 'bool');
  if (other)
    throw new AutodiffError(
      `metadata ${noiseKey}: expected ${other.name} to be a bool input, ` +
        `got ${inputs.get(other.name) ?? 'no such input'}`,
      { code: 'bad-request', name: other.name },
    );
  return list;
}

/** What the pass knows of a model, and what it has added so far. */
interface Masking {
  readonly constants: ReadonlyMap<string, Tensor>;
  readonly known: ReadonlyMap<string, KnownValue>;
  /** Gives a name that is free. */
  fresh(stem: string): string;
  readonly inputs: ValueInfo[];
  readonly initializers: Tensor[];
  readonly noise: NoiseDeclaration[];
}

/** A constant input's only element, or the default where the input is left out. */
function scalarOf(node: Node, index: number, otherwise: number, { constants }: Masking): number {
  const name = node.inputs[index] ?? '';
  if (name === '') return otherwise;
  const tensor = constants.get(name);
  if (tensor?.data.length !== 1) throw unsupported(node, `expected a constant with one element as ${name}`);
  return Number(tensor.data[0]);
}

function constant(value: number, type: 'float32' | 'float64', stem: string, masking: Masking): string {
  const name = masking.fresh(stem);
  const data = type === 'float32' ? Float32Array.of(value) : Float64Array.of(value);
  masking.initializers.push({ name, type, shape: [], data });
  return name;
}

function masked(node: Node, keep: number, masking: Masking): readonly Node[] {
  const x = node.inputs[0] ?? '';
  const { type = 'float32', shape } = masking.known.get(x) ?? {};
  if (type !== 'float32' && type !== 'float64')
    throw unsupported(node, `expected float32 or float64, got ${type}`);
  if (!shape || shape.some((dimension: Dimension) => dimension === '?'))
    throw new AutodiffError(`${describeNode(node)}: expected a known shape of ${x}, got [${shape ?? '?'}]`, {
      code: 'unknown-shape',
      node: node.name,
      value: x,
    });
  const [y = '', mask = ''] = node.outputs;
  const noise = masking.fresh(`noise:${y || mask}`);
  masking.inputs.push({ name: noise, type: 'bool', shape });
  masking.noise.push({ name: noise, keep });
  const copy = mask === '' ? [] : [plainNode('Identity', [noise], mask)];
  if (y === '') return copy;
  const scaled = masking.fresh(`${y}.scaled`);
  const scale = constant(1 / keep, type, `${y}.scale`, masking);
  const zero = constant(0, type, `${y}.zero`, masking);
  return [plainNode('Mul', [x, scale], scaled), plainNode('Where', [noise, scaled, zero], y), ...copy];
}

function replace(node: Node, masking: Masking): readonly Node[] {
  if (node.operator !== 'Dropout' || node.domain !== '') return [node];
  const trains = scalarOf(node, 2, 0, masking) !== 0;
  const ratio = scalarOf(node, 1, defaultRatio, masking);
  if (!trains || ratio === 0) return [node];
  if (!(ratio > 0 && ratio < 1)) throw unsupported(node, `expected a ratio from 0 to below 1, got ${ratio}`);
  return masked(node, 1 - ratio, masking);
}

/**
 * Gives every `Dropout` of the graph that is in training mode a mask input; others stay. Throws `AutodiffError`
 * `unsupported` for a ratio or mode that is no constant, `unknown-shape` where the mask's shape is not known.
 */
export function maskDropout(model: Model): Model {
  const { graph } = model;
  const trains = ({ operator, inputs }: Node): boolean => operator === 'Dropout' && (inputs[2] ?? '') !== '';
  if (!graph.nodes.some(trains)) return model;
  const masking: Masking = {
    constants: new Map(graph.initializers.map((tensor) => [tensor.name, tensor])),
    known: inferShapes(model),
    fresh: freshNames(graph),
    inputs: [],
    initializers: [],
    noise: [...noiseOf(model)],
  };
  const nodes = graph.nodes.flatMap((node) => replace(node, masking));
  return {
    ...model,
    metadata: { ...model.metadata, [noiseKey]: JSON.stringify(masking.noise) },
    graph: {
      ...graph,
      nodes,
      inputs: [...graph.inputs, ...masking.inputs],
      initializers: [...graph.initializers, ...masking.initializers],
    },
  };
}
