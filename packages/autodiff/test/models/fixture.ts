/**
 * Whole models as other frameworks write them, each with what its framework computed: see fixtures/README.md. A case
 * is a folder with one `reference.safetensors.gz` and several ONNX files, listed in `case.json`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Tensor } from '@murmuration/onnx';
import { readSafetensors } from './read-safetensors.ts';

/** A value of the graph and the tensor that it should equal. */
export interface Expected {
  readonly output: string;
  readonly tensor: string;
}

/** One ONNX file of a case. */
export interface FixtureFile {
  readonly file: string;
  readonly inputs: readonly string[];
  /** Whether stock onnxruntime runs the file as it is. */
  readonly runs: boolean;
  /** The file's own loss; without one the loss is the sum of `weighting` × logits². */
  readonly loss: Expected | null;
  readonly square: { readonly tensor: string } | null;
  readonly logits: Expected;
  /** Inputs of other sizes (`other/input/…`): the tensor of their loss, and of a sketch of each gradient, in order. */
  readonly other: { readonly loss: string; readonly sketches: string } | null;
  /** By initializer: its gradient, of the initializer's shape unless stored transposed. */
  readonly gradients: Readonly<Record<string, { readonly tensor: string; readonly transposed?: boolean }>>;
}

/** A model and all files that hold it. */
export interface FixtureCase {
  readonly case: string;
  readonly made: string;
  readonly exports: readonly FixtureFile[];
}

/** The case in a folder. */
export const readCase = (folder: URL): FixtureCase =>
  JSON.parse(readFileSync(new URL('case.json', folder), 'utf8')) as FixtureCase;

/** The folders of all cases below a folder, in alphabetical order. */
export function caseFolders(root: URL): readonly URL[] {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted()
    .map((name) => new URL(`${name}/`, root));
}

/** The tensors of a case. */
export const readReference = (folder: URL): ReadonlyMap<string, Tensor> =>
  readSafetensors(readFileSync(new URL('reference.safetensors.gz', folder)));

/** The bytes of one of its ONNX files. */
export const readOnnx = (folder: URL, file: string): Uint8Array =>
  gunzipSync(readFileSync(new URL(file, folder)));
