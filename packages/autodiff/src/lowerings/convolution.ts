import type { Lowering } from '../passes/lower-operators.ts';
import { kernelOf } from '../rules/convolution.ts';
import { groupOf, spatialFrom, windowOf } from '../rules/window.ts';
import { convolveRows, isSmall, rowWindow } from '../rules/window-rows.ts';

/** A convolution of small images: one matrix product over the batch, whose factors the gradients use again. */
export const convolution: Lowering = ({ node, backward, input }) => {
  const shape = backward.knownShape(input(0));
  const isConstant = backward.knownShape(input(1))?.every((size) => typeof size === 'number');
  if (!shape || !isConstant) return undefined;
  const window = windowOf(node, kernelOf(node, backward), shape.slice(spatialFrom));
  const rows = rowWindow(window, groupOf(node), shape, backward.shapeOf(node.outputs[0] ?? ''));
  if (!rows || !isSmall(rows)) return undefined;
  return [convolveRows(backward, { x: input(0), kernel: input(1), bias: input(2), rows })];
};
