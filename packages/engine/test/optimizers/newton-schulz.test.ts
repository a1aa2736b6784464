import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '@murmuration/base';
import { createOrthogonalizer } from '../../src/optimizers/newton-schulz.ts';

/** Row by row; values of a bell shape, so that no singular value is tiny. */
function randomMatrix(rows: number, columns: number): Float32Array {
  const random = createRandom(`${rows} × ${columns}`);
  const bell = (): number => Array.from({ length: 12 }, random.unit).reduce((sum, unit) => sum + unit, -6);
  return Float32Array.from({ length: rows * columns }, bell);
}

/** The products of the shorter side's vectors with each other: the identity, if the matrix is orthogonal. */
function gram(matrix: Float32Array, rows: number, columns: number): number[][] {
  const wide = rows <= columns;
  const at = (i: number, k: number): number => matrix[wide ? i * columns + k : k * columns + i] as number;
  const [short, long] = wide ? [rows, columns] : [columns, rows];
  const sum = (i: number, j: number): number => {
    let total = 0;
    for (let k = 0; k < long; k++) total += at(i, k) * at(j, k);
    return total;
  };
  return Array.from({ length: short }, (_, i) => Array.from({ length: short }, (_, j) => sum(i, j)));
}

for (const [rows, columns] of [
  [4, 40],
  [40, 4],
  [1_000, 270],
] as const)
  test(`Orthogonalizer brings the singular values of a ${rows} × ${columns} matrix near to 1`, async () => {
    const orthogonalizer = createOrthogonalizer(5, 2);
    const input = randomMatrix(rows, columns);
    const before = input.slice();
    const output = new Float32Array(rows * columns);
    await orthogonalizer.run(input, output, rows, columns);
    assert.deepEqual(input, before);
    const products = gram(output, rows, columns);
    const size = products.length;
    const mean = products.reduce((sum, row, i) => sum + (row[i] as number), 0) / size;
    assert.ok(mean > 0.5 && mean < 1.3, `mean square of the singular values: ${mean}`);
    products.forEach((row, i) => {
      row.forEach((value, j) => {
        assert.ok(i === j || Math.abs(value) < 0.4, `vectors ${i} and ${j}: ${value}`);
      });
    });
  });

test('Orthogonalizer leaves zeros and does not depend on scale', async () => {
  const orthogonalizer = createOrthogonalizer(5, 1);
  const output = new Float32Array(6).fill(7);
  await orthogonalizer.run(new Float32Array(6), output, 2, 3);
  assert.deepEqual(output, new Float32Array(6));
  const input = randomMatrix(2, 3);
  const other = new Float32Array(6);
  await orthogonalizer.run(input, output, 2, 3);
  await orthogonalizer.run(
    input.map((value) => value * 64),
    other,
    2,
    3,
  );
  output.forEach((value, i) => {
    assert.ok(Math.abs(value - (other[i] as number)) < 1e-5);
  });
});
