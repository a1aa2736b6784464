import type { Node } from './model.ts';

/** A node in an error's words: `node "/fc/MatMul" (MatMul)`, or `an unnamed Add that makes "x"`. */
export function describeNode({
  name,
  operator,
  outputs,
}: Pick<Node, 'name' | 'operator' | 'outputs'>): string {
  if (name !== '') return `node ${JSON.stringify(name)} (${operator})`;
  const made = outputs.find((output) => output !== '');
  return `an unnamed ${operator}${made === undefined ? '' : ` that makes ${JSON.stringify(made)}`}`;
}
