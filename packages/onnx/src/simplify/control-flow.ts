/** Branches that are always taken, and loops whose number of rounds is known. */
import { type Graph, graphOf, int, int64Tensor, type Node, type Tensor } from '../model.ts';
import type { Names } from '../names.ts';
import { allNames, renameGraph, sizeOf } from '../subgraphs.ts';
import type { Scope } from './scope.ts';

/** Rewrites the nodes of a graph whose inputs stand for values, in the scope. */
export type Inline = (graph: Graph, scope: Scope) => void;

/** Puts the branch that a constant condition takes in the place of an If; false if the condition is not constant. */
export function inlineBranch(node: Node, scope: Scope, inline: Inline): boolean {
  const condition = scope.constantOf(node.inputs[0] ?? '');
  if (condition?.tensor.data.length !== 1) return false;
  const branch = graphOf(node, condition.tensor.data[0] ? 'then_branch' : 'else_branch');
  if (!branch || branch.outputs.length < node.outputs.length) return false;
  inline(branch, scope);
  node.outputs.forEach((output, index) => {
    scope.alias(output, branch.outputs[index]?.name ?? '');
  });
  return true;
}

/** Whether a graph's value is true whatever the inputs are, or is the input that is true in the first round. */
function staysTrue(body: Graph, scope: Scope): boolean {
  let name = body.outputs[0]?.name;
  for (let steps = body.nodes.length; steps >= 0; steps--) {
    const producer = body.nodes.find(
      ({ outputs, operator }) => operator === 'Identity' && outputs[0] === name,
    );
    if (!producer) break;
    name = producer.inputs[0];
  }
  if (name === undefined) return false;
  if (name === body.inputs[1]?.name) return true;
  const inside = body.initializers.find((tensor) => tensor.name === name);
  const tensor = inside ?? scope.constantOf(name)?.tensor;
  return tensor !== undefined && tensor.data.length === 1 && Boolean(tensor.data[0]);
}

/** How often a loop runs, if that is certain. */
function roundsOf(node: Node, body: Graph, scope: Scope): number | undefined {
  const [count = '', condition = ''] = node.inputs;
  const rounds = scope.constantOf(count)?.tensor;
  const first = condition === '' ? true : scope.constantOf(condition)?.tensor.data[0];
  if (rounds?.data.length !== 1 || !first || !staysTrue(body, scope)) return undefined;
  return Math.max(0, Number(rounds.data[0]));
}

const trueTensor = (name: string): Tensor => ({ name, type: 'bool', shape: [], data: Uint8Array.of(1) });

/** One round of a loop's body; gives the names of what the body gives, after the condition. */
function inlineRound(body: Graph, given: readonly string[], scope: Scope, inline: Inline): readonly string[] {
  const { names } = scope.session;
  const shared = new Set(body.initializers.map(({ name }) => name));
  const fresh = new Map(
    [...allNames(body)].filter((name) => !shared.has(name)).map((name) => [name, names.fresh(name)]),
  );
  const round = renameGraph(body, (name) => fresh.get(name) ?? name);
  round.inputs.forEach(({ name }, index) => {
    scope.alias(name, given[index] ?? '');
  });
  inline({ ...round, initializers: [] }, scope);
  return round.outputs.slice(1).map(({ name }) => scope.resolve(name));
}

/** Puts the rounds of a loop one after the other in its place; false if it must stay a loop. */
export function unrollLoop(node: Node, scope: Scope, inline: Inline): boolean {
  const body = graphOf(node, 'body');
  const rounds = body && roundsOf(node, body, scope);
  if (!body || rounds === undefined) return false;
  const carried = node.inputs.slice(2);
  const scanned = node.outputs.length - carried.length;
  const size = rounds * (sizeOf(body) + 3 * scanned);
  if ((rounds === 0 && scanned > 0) || scanned < 0 || size > scope.session.unrolled) return false;
  if (body.outputs.length !== 1 + node.outputs.length || body.inputs.length !== 2 + carried.length)
    return false;
  scope.session.unrolled -= size;
  const { names } = scope.session;
  scope.addInitializers(body);
  const condition = names.fresh('true');
  scope.addComputed(condition, trueTensor(condition));
  let state = carried.map(scope.resolve);
  const stacks: string[][] = Array.from({ length: scanned }, () => []);
  for (let round = 0; round < rounds; round++) {
    const index = names.fresh('round');
    scope.addComputed(index, int64Tensor(index, [round], []));
    const outputs = inlineRound(body, [index, condition, ...state], scope, inline);
    state = outputs.slice(0, carried.length);
    for (const [which, output] of outputs.slice(carried.length).entries()) stacks[which]?.push(output);
  }
  node.outputs.slice(0, carried.length).forEach((output, which) => {
    scope.alias(output, state[which] as string);
  });
  const axes = names.fresh('axes');
  scope.addComputed(axes, int64Tensor(axes, [0]));
  const nodes = stackRounds(node.outputs.slice(carried.length), stacks, axes, names);
  inline({ name: '', nodes, inputs: [], outputs: [], initializers: [] }, scope);
  return true;
}

/** Nodes that put what each round gave one after the other along a new first axis. */
function stackRounds(
  outputs: readonly string[],
  stacks: readonly (readonly string[])[],
  axes: string,
  names: Names,
): readonly Node[] {
  return outputs.flatMap((output, which) => {
    if (output === '') return [];
    const rows = (stacks[which] ?? []).map((value): Node => {
      const row = names.fresh(`${output}:round`);
      return plainNode(row, 'Unsqueeze', [value, axes], row);
    });
    const values = rows.flatMap((row) => row.outputs);
    const joined = plainNode(names.fresh(`${output}:rounds`), 'Concat', values, output);
    return [...rows, { ...joined, attributes: { axis: int(0) } }];
  });
}

const plainNode = (name: string, operator: string, inputs: readonly string[], output: string): Node => ({
  name,
  operator,
  domain: '',
  inputs,
  outputs: [output],
  attributes: {},
});
