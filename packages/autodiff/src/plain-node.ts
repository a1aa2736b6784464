import type { Attributes, Node } from '@murmuration/onnx';

/** A node of ONNX's own domain with one output, which gives it its name too. */
export const plainNode = (
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: Attributes = {},
): Node => ({ name: output, operator, domain: '', inputs, outputs: [output], attributes });
