import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readModel, writeModel } from '@murmuration/onnx';
import { compareForward, compareOtherSizes, compareTraining, complaints, trainingModel } from './compare.ts';
import { caseFolders, readCase, readOnnx, readReference } from './fixture.ts';

const folders = caseFolders(new URL('fixtures/exported/', import.meta.url));

for (const folder of folders) {
  const found = readCase(folder);
  const tensors = readReference(folder);
  for (const entry of found.exports) {
    const name = `${found.case} as ${entry.file.replace(/\.onnx\.gz$/, '')}`;
    test(`differentiate gives ${name} the outputs, loss and gradients that ${found.made} gives`, async () => {
      const read = readModel(readOnnx(folder, entry.file));
      const model = readModel(writeModel(read));
      if (entry.runs) assert.deepEqual(complaints(await compareForward(model, entry, tensors)), []);
      const { training, loss } = trainingModel(model, entry);
      const comparisons = await compareTraining(training, loss, entry, tensors);
      assert.ok(comparisons.length > 1, 'no gradient was compared');
      assert.deepEqual(complaints(comparisons), []);
      assert.deepEqual(complaints(await compareOtherSizes(training, loss, entry, tensors)), []);
    });
  }
}

test('the fixtures hold every family of models, from three frameworks', () => {
  const cases = folders.map((folder) => readCase(folder));
  const files = cases.flatMap(({ exports }) => exports.map(({ file }) => file));
  const writers = new Set(files.map((file) => file.split('-')[0]));
  assert.deepEqual([...writers].toSorted(), ['dynamo', 'paddle2onnx', 'script', 'tf2onnx']);
  assert.ok(files.length >= 120, `${files.length} files`);
  assert.ok(cases.length >= 30, `${cases.length} cases`);
});
