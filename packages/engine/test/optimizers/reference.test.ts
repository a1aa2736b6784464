/** The optimizers against PyTorch's; scripts/optimizer-reference.py writes the fixture. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createLayout, exampleRun, parseRunConfig, type RunConfig } from '@murmuration/base';
import type { ParameterDeclaration } from '@murmuration/onnx';
import { createOptimizer } from '../../src/optimizers/optimizer.ts';

interface Reference {
  readonly parameters: readonly Omit<ParameterDeclaration, 'initial'>[];
  readonly clipNorm: number;
  readonly weightDecay: number;
  readonly accumulate: number;
  readonly initial: readonly number[];
  readonly gradients: readonly (readonly number[])[];
  readonly cases: Readonly<
    Record<
      string,
      {
        readonly optimizer: RunConfig['inner']['optimizer'];
        readonly learningRate: number;
        readonly final: readonly number[];
      }
    >
  >;
}

const reference = JSON.parse(
  readFileSync(new URL('../fixtures/optimizers.json', import.meta.url), 'utf8'),
) as Reference;
const { clipNorm, weightDecay, accumulate, initial, gradients } = reference;
const declarations = reference.parameters.map((parameter) => ({
  ...parameter,
  initial: { kind: 'given' } as const,
}));
const layout = createLayout(declarations);

for (const [name, { optimizer: kind, learningRate, final }] of Object.entries(reference.cases))
  test(`Optimizer ${name} ends where PyTorch's does, with clipping, decay and accumulation`, async () => {
    const inner = { ...exampleRun.inner, optimizer: kind, weightDecay, clipNorm, accumulate };
    const run = parseRunConfig({ ...exampleRun, inner });
    const optimizer = createOptimizer({ declarations, layout, inner: run.inner, threads: 1 });
    optimizer.parameters.set(initial);
    for (const [index, gradient] of gradients.entries()) {
      optimizer.gradient.set(gradient);
      optimizer.collect();
      if ((index + 1) % accumulate === 0) await optimizer.update(learningRate, optimizer.gradientNorm());
    }
    assert.equal(optimizer.step, gradients.length / accumulate);
    const moved = final.map((value, i) => Math.abs(value - (initial[i] as number)));
    assert.ok(Math.max(...moved) > 0.1);
    final.forEach((value, i) => {
      const ours = optimizer.parameters[i] as number;
      assert.ok(Math.abs(ours - value) < 2e-5, `value ${i}: expected ${value}, got ${ours}`);
    });
  });
