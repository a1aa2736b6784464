import { floatOf } from '@murmuration/onnx';
import type { Lowering } from '../passes/lower-operators.ts';
import { batchStatistics, perChannel, trainsOnBatch } from '../rules/batch-normalization.ts';

const defaultMomentum = 0.9;

/**
 * Batch normalization by the statistics of its own batch, which stock onnxruntime refuses: y = centered · factor +
 * bias, and running statistics = momentum · running + (1 − momentum) · batch where they are asked for.
 */
export const batchNormalization: Lowering = (context) => {
  const { node, backward, op, has, input } = context;
  if (!trainsOnBatch(node)) return undefined;
  const rank = backward.shapeOf(input(0)).length;
  const { centered, mean, variance, inverse } = batchStatistics(backward, node);
  const factor = perChannel(backward, op('Mul', [input(1), inverse]), rank);
  const momentum = floatOf(node, 'momentum', defaultMomentum);
  const averaged = (running: string, ofBatch: string): string =>
    op('Add', [
      op('Mul', [running, context.number(momentum)]),
      op('Mul', [ofBatch, context.number(1 - momentum)]),
    ]);
  return [
    op('Add', [op('Mul', [centered, factor]), perChannel(backward, input(2), rank)]),
    has(1) ? averaged(input(3), mean) : undefined,
    has(2) ? averaged(input(4), variance) : undefined,
  ];
};
