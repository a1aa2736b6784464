import { float, floatOf } from '@murmuration/onnx';
import type { Lowering } from '../passes/lower-operators.ts';
import { batchStatistics, epsilonOf, trainsOnBatch } from '../rules/batch-normalization.ts';

const defaultMomentum = 0.9;

/**
 * Batch normalization by the statistics of its own batch, which stock onnxruntime refuses: y = centered · factor +
 * bias, and running statistics = momentum · running + (1 − momentum) · batch where they are asked for.
 */
export const batchNormalization: Lowering = (context) => {
  const { node, backward, op, has, input } = context;
  if (!trainsOnBatch(node)) return undefined;
  const { mean, variance } = batchStatistics(backward, node);
  const momentum = floatOf(node, 'momentum', defaultMomentum);
  const averaged = (running: string, ofBatch: string): string =>
    op('Add', [
      op('Mul', [running, context.number(momentum)]),
      op('Mul', [ofBatch, context.number(1 - momentum)]),
    ]);
  return [
    op('BatchNormalization', [input(0), input(1), input(2), mean, variance], {
      epsilon: float(epsilonOf(node)),
    }),
    has(1) ? averaged(input(3), mean) : undefined,
    has(2) ? averaged(input(4), variance) : undefined,
  ];
};
