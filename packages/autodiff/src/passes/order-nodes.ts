import { type Model, type Node, usedValues } from '@murmuration/onnx';

/**
 * Puts nodes in an order in which onnxruntime needs little memory.
 *
 * onnxruntime does not follow the order of the file. It starts from the nodes that nobody reads (in a training graph:
 * the loss, and each parameter's gradient), the last in the file first, and computes what each needs, inputs that
 * come later in the file first. In the order in which the backward graph is made, the first parameter's gradient
 * would come first: the whole chain of gradients would be computed before any other parameter's gradient, and all
 * that these need would be kept until then. So the nodes that nobody reads go to the file's end, in reverse: the loss
 * first, then the last layer's gradients. Everything else is then computed when it is needed, repeated nodes too
 * (repeat-nodes.ts), and no earlier.
 */
export function orderNodes(model: Model): Model {
  const { graph } = model;
  const read = new Set(graph.nodes.flatMap(usedValues));
  const isRead = (node: Node): boolean => node.outputs.some((output) => read.has(output));
  const nodes = [...graph.nodes.filter(isRead), ...graph.nodes.filter((node) => !isRead(node)).reverse()];
  return { ...model, graph: { ...graph, nodes } };
}
