/**
 * Reverse mode over a list of nodes, which may be a whole graph or the body of a Scan. Forward values that depend on a
 * source are marked; then the nodes are visited from the seeds backwards, each one's rule appends nodes that turn the
 * gradients of its outputs into gradients of its inputs, and what several readers of a value contribute is summed when
 * its own node is reached.
 */
import { describeNode, microsoft, type Node, subgraphsOf, usedValues } from '@murmuration/onnx';
import type { Backward } from './backward.ts';
import { undoBroadcast } from './broadcast.ts';
import { AutodiffError } from './errors.ts';
import { type GradientRule, type RuleContext, type RuleTable, unsupported } from './rules/rule.ts';

/** What to differentiate by what. */
export interface AppendGradientsRequest {
  /** In an order in which each node's inputs come before it. */
  readonly nodes: readonly Node[];
  /** Values whose gradients are given, with the names of these gradients. */
  readonly seeds: ReadonlyMap<string, string>;
  /** Values whose gradients are wanted. */
  readonly sources: readonly string[];
  readonly table: RuleTable;
}

const isFloat = (type: string): boolean =>
  type === 'float32' || type === 'float64' || type === 'float16' || type === 'bfloat16';

/** What a node's result depends on; the second input of CastLike lends its type only. */
const dependenciesOf = (node: Node): readonly string[] =>
  node.operator === 'CastLike' ? node.inputs.slice(0, 1) : usedValues(node);

/** Values through which some source reaches further. */
function dependentValues(
  { nodes, sources, table }: AppendGradientsRequest,
  backward: Backward,
): ReadonlySet<string> {
  const dependent = new Set(sources);
  for (const node of nodes) {
    if (table.withoutGradient.has(node.operator)) continue;
    if (!dependenciesOf(node).some((value) => dependent.has(value))) continue;
    for (const output of node.outputs)
      if (output !== '' && isFloat(backward.typeOf(output))) dependent.add(output);
  }
  return dependent;
}

const ruleOf = (node: Node, { rules }: RuleTable): GradientRule | undefined => {
  const ours = node.domain === '' || node.domain === microsoft;
  return ours && Object.hasOwn(rules, node.operator) ? rules[node.operator] : undefined;
};

/** Throws what keeps a node on the path to a seed from being differentiated. */
function requireRule(
  node: Node,
  pathFrom: (node: Node) => readonly string[],
  table: RuleTable,
  backward: Backward,
): void {
  const half = node.outputs.find((output) => /float16$/.test(backward.typeOf(output)));
  if (half !== undefined)
    throw unsupported(node, `expected float32 or float64 values, got ${backward.typeOf(half)} in ${half}`);
  if (ruleOf(node, table)) return;
  if (subgraphsOf(node).length > 0)
    throw unsupported(
      node,
      'expected a branch or trip count that is constant, so that the body can take the place of the node; got one ' +
        'that is known only when the graph runs, and only constant branches can be differentiated',
    );
  const path = pathFrom(node);
  throw new AutodiffError(
    `${describeNode(node)} has no gradient rule; it lies on the path ${path.join(' → ')}`,
    { code: 'no-rule', operator: node.operator, node: node.name, path },
  );
}

/**
 * Throws for the node nearest to the seeds that lies between a source and a seed and cannot be differentiated, before
 * any rule is asked.
 */
function requireRules(
  { nodes, seeds, table }: AppendGradientsRequest,
  wanted: ReadonlySet<string>,
  backward: Backward,
): void {
  const readers = new Map<string, Node | undefined>([...seeds.keys()].map((seed) => [seed, undefined]));
  const readOutput = (node: Node): string | undefined =>
    node.outputs.find((output) => readers.has(output) && wanted.has(output));
  const pathFrom = (node: Node): readonly string[] => {
    const path: string[] = [];
    for (let next: Node | undefined = node; next; ) {
      const output = readOutput(next) as string;
      path.push(`${next.operator} ${next.name || output}`);
      next = readers.get(output);
      if (!next) path.push(output);
    }
    return path;
  };
  for (const node of nodes.toReversed()) {
    if (readOutput(node) === undefined) continue;
    requireRule(node, pathFrom, table, backward);
    for (const value of dependenciesOf(node)) if (!readers.has(value)) readers.set(value, node);
  }
}

/** Gradients found so far: the contributions to each value. */
class Gradients {
  readonly #contributions = new Map<string, string[]>();
  /** How many values a gradient was contributed to. */
  readonly #uses = new Map<string, number>();
  readonly #backward: Backward;

  constructor(backward: Backward) {
    this.#backward = backward;
  }

  add(value: string, gradient: string): void {
    const list = this.#contributions.get(value);
    if (list) list.push(gradient);
    else this.#contributions.set(value, [gradient]);
    this.#uses.set(gradient, (this.#uses.get(gradient) ?? 0) + 1);
  }

  /** The sum of all contributions, if there are any. */
  take(value: string): string | undefined {
    const list = this.#contributions.get(value);
    if (!list) return undefined;
    const sum = list.reduce((total, gradient) => this.#sum(total, gradient));
    this.#contributions.set(value, [sum]);
    return sum;
  }

  /** What nothing else needs adds to the total while it is computed: a matrix product, or rows put into zeros. */
  #sum(total: string, gradient: string): string {
    const { op, producerOf } = this.#backward;
    const producer = producerOf(gradient);
    if (!producer || this.#uses.get(gradient) !== 1) return op('Add', [total, gradient]);
    const { operator, inputs, attributes } = producer;
    if (operator === 'Gemm' && inputs.length === 2) return op('Gemm', [...inputs, total], attributes);
    const scatters = operator === 'ScatterND' || operator === 'ScatterElements';
    const [base = '', ...added] = inputs;
    if (scatters && attributes.reduction?.value === 'add' && producerOf(base)?.operator === 'ConstantOfShape')
      return op(operator, [total, ...added], attributes);
    return op('Add', [total, gradient]);
  }
}

/**
 * Appends to `backward`, which must know all values of the nodes, the nodes that compute the gradients of the sources,
 * and gives the names of these gradients; a source on which no seed depends is left out.
 *
 * Throws `AutodiffError`: `no-rule` names operator, node and the path to the seed; `unsupported` a node whose settings
 * or types have no gradient here; `unknown-shape` a value whose rank is needed and not known.
 */
export function appendGradients(
  backward: Backward,
  request: AppendGradientsRequest,
): ReadonlyMap<string, string> {
  const { nodes, seeds, sources, table } = request;
  const wanted = dependentValues(request, backward);
  requireRules(request, wanted, backward);
  const gradients = new Gradients(backward);
  for (const [value, gradient] of seeds) gradients.add(value, gradient);
  const contribute = (value: string, gradient: string): void => {
    if (wanted.has(value)) gradients.add(value, gradient);
  };
  const contextOf = (node: Node, byOutput: readonly (string | undefined)[], first: string): RuleContext => ({
    node,
    attributes: node.attributes,
    gradient: byOutput[0] ?? first,
    gradients: byOutput,
    backward,
    table,
    op: backward.op,
    ops: backward.ops,
    number: (value) => backward.number(value, node.inputs[0] ?? ''),
    input: (index) => node.inputs[index] ?? '',
    output: (index) => node.outputs[index] ?? '',
    shape: (index) => backward.shapeOf(node.inputs[index] ?? ''),
    needs: (index) => wanted.has(node.inputs[index] ?? ''),
    isWanted: (value) => wanted.has(value),
    contribute,
    undo: (gradient, index) =>
      undoBroadcast(backward, gradient, backward.shapeOf(node.outputs[0] ?? ''), node.inputs[index] ?? ''),
  });
  for (const node of nodes.toReversed()) {
    const byOutput = node.outputs.map((output) => (wanted.has(output) ? gradients.take(output) : undefined));
    const first = byOutput.find((gradient) => gradient !== undefined);
    const rule = first === undefined ? undefined : ruleOf(node, table);
    if (first === undefined || !rule) continue;
    const byInput = rule(contextOf(node, byOutput, first));
    node.inputs.forEach((input, index) => {
      const gradient = byInput[index];
      if (gradient !== undefined) contribute(input, gradient);
    });
  }
  const found = sources.map((source): [string, string | undefined] => [source, gradients.take(source)]);
  return new Map(found.filter((entry): entry is [string, string] => entry[1] !== undefined));
}
