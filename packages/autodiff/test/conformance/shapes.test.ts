import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Dimension, inferShapes, type KnownValue, type Model, readModel } from '@murmuration/onnx';
import { type ConformanceCase, casesByOperator } from './cases.ts';
import { evaluator, type Sizes } from './evaluate.ts';
import { caseKey } from './exceptions.ts';

/** Operators whose output sizes depend on the values of float inputs. */
const dataDependent: ReadonlySet<string> = new Set(['Compress', 'NonMaxSuppression', 'Unique', 'Loop']);

/** The model with everything that is no data as a constant: integers, truth values, and lists of a few numbers. */
function withConstants(stored: ConformanceCase): Model {
  const model = readModel(stored.model);
  const constants = stored.inputs.filter(({ type, data }) => !type.startsWith('float') || data.length <= 8);
  const names = new Set(constants.map(({ name }) => name));
  return {
    ...model,
    graph: {
      ...model.graph,
      inputs: model.graph.inputs.filter(({ name }) => !names.has(name)),
      initializers: [...model.graph.initializers, ...constants],
    },
  };
}

/** The same with a symbol for every dimension above 1 of the inputs that are left. */
function withSymbols(model: Model): {
  readonly model: Model;
  readonly sizes: Sizes;
} {
  const sizes: Record<string, number> = {};
  const inputs = model.graph.inputs.map((input) => ({
    ...input,
    shape: (input.shape ?? []).map((size): Dimension => {
      if (typeof size !== 'number' || size < 2) return size;
      sizes[`size${size}`] = size;
      return `size${size}`;
    }),
  }));
  return { model: { ...model, graph: { ...model.graph, inputs } }, sizes };
}

function assertConsistent(
  found: KnownValue | undefined,
  shape: readonly number[],
  sizes: Sizes,
  message: string,
): void {
  if (!found?.shape) return;
  const evaluate = evaluator(sizes);
  const evaluated = found.shape.map((size, axis) => evaluate(size) ?? shape[axis]);
  assert.deepEqual(evaluated, shape, `${message}: inferred [${found.shape}]`);
}

for (const [operator, cases] of casesByOperator()) {
  test(`inferShapes finds the type and the whole shape of ${operator}`, () => {
    for (const stored of cases.filter(({ opset }) => opset > 8)) {
      const known = inferShapes(withConstants(stored));
      for (const { name, type, shape } of stored.outputs) {
        const found = known.get(name);
        assert.equal(found?.type, type, caseKey(stored));
        if (dataDependent.has(operator)) assertConsistent(found, shape, {}, caseKey(stored));
        else assert.deepEqual(found?.shape, shape, caseKey(stored));
      }
    }
  });

  test(`inferShapes says nothing wrong about ${operator} with symbolic dimensions`, () => {
    for (const stored of cases) {
      const { model, sizes } = withSymbols(withConstants(stored));
      const known = inferShapes(model);
      for (const { name, shape } of stored.outputs)
        assertConsistent(known.get(name), shape, sizes, caseKey(stored));
    }
  });
}
