import { int, type Node } from '@murmuration/onnx';

/** A node as it works outside training: dropout passes on, a batch normalization uses its running statistics. */
export function outsideTraining(node: Node): Node {
  if (node.operator === 'Dropout') return { ...node, inputs: node.inputs.slice(0, 1) };
  if (node.operator === 'BatchNormalization')
    return {
      ...node,
      outputs: node.outputs.slice(0, 1),
      attributes: { ...node.attributes, training_mode: int(0) },
    };
  return node;
}

/** A node as it works while training; `yes` is a true constant. */
export function insideTraining(node: Node, yes: string): Node {
  if (node.operator === 'Dropout')
    return { ...node, inputs: [node.inputs[0] ?? '', node.inputs[1] ?? '', yes] };
  if (node.operator !== 'BatchNormalization') return node;
  const [y = '', mean, variance] = node.outputs;
  return {
    ...node,
    outputs: [y, mean || `${y}.mean`, variance || `${y}.variance`],
    attributes: { ...node.attributes, training_mode: int(1) },
  };
}
