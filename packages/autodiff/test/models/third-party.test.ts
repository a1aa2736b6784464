import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@murmuration/onnx';
import { differentiate, gradientName } from '../../src/index.ts';
import { runModel } from '../run-model.ts';
import { attachSquareLosses, relativeErrorMax, weightingName } from './compare.ts';
import { sketch, sketchedError } from './sketch.ts';
import {
  canonicalModel,
  drawn,
  exposeValues,
  fetchedBytes,
  readThirdParty,
  type ThirdPartyFile,
  thirdPartyFiles,
} from './third-party.ts';

const absent = 'not fetched: run `node scripts/fetch-models.ts`';

function feedsOf(
  { inputs, range }: ThirdPartyFile,
  outputs: Readonly<Record<string, readonly number[]>>,
): Record<string, Tensor> {
  const drawnInputs = Object.entries(inputs).map(([name, shape], index): [string, Tensor] => [
    name,
    drawn(shape, 1 + index, range),
  ]);
  const weightings = Object.values(outputs).map((shape, index): [string, Tensor] => [
    weightingName(index),
    drawn(shape, 101 + index, [0.5, 1.5]),
  ]);
  return Object.fromEntries([...drawnInputs, ...weightings]);
}

for (const file of thirdPartyFiles) {
  const bytes = fetchedBytes(file);
  const name = `${file.package} ${file.path.slice(file.path.lastIndexOf('/') + 1)}`;
  test(`differentiate gives ${name} the loss and gradients that PyTorch gives`, {
    skip: bytes ? false : absent,
  }, async () => {
    const reference = readThirdParty(file);
    const outputs = Object.keys(reference.outputs);
    const canonical = exposeValues(canonicalModel(bytes ?? new Uint8Array(), file), outputs);
    const { model, loss } = attachSquareLosses(canonical, outputs);
    const kept = new Set(canonical.graph.initializers.map((tensor) => tensor.name));
    const folded = reference.parameters.filter((parameter) => !kept.has(parameter));
    assert.deepEqual(folded, file.folded ?? []);
    const parameters = reference.parameters.filter((parameter) => kept.has(parameter));
    const training = differentiate(model, { loss, parameters });
    const found = await runModel(training, feedsOf(file, reference.outputs));
    const lossError = Math.abs((found[loss]?.[0] ?? Number.NaN) / reference.loss - 1);
    assert.ok(lossError < relativeErrorMax, `loss: relative error ${lossError}`);
    const wrong = parameters.flatMap((parameter) => {
      const expected = reference.sketches[reference.parameters.indexOf(parameter)] ?? [];
      const gradient = found[gradientName(parameter)] ?? new Float32Array();
      const error = sketchedError(sketch(gradient, expected.length - 1), expected);
      return error < relativeErrorMax ? [] : [`${parameter}: relative error ${error.toExponential(2)}`];
    });
    assert.deepEqual(wrong, []);
  });
}
