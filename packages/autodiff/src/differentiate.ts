/**
 * Reverse mode. Forward values that depend on a wanted parameter are marked; then the nodes are visited from the loss
 * backwards, each one's rule appends nodes that turn the gradients of its outputs into gradients of its inputs, and
 * what several readers of a value contribute is summed when its own node is reached.
 */
import { type Model, microsoft, type Node, pruneModel } from '@murmuration/onnx';
import { type Backward, createBackward } from './backward.ts';
import { undoBroadcast } from './broadcast.ts';
import { AutodiffError } from './errors.ts';
import { exposeStatistics } from './passes/expose-statistics.ts';
import { renameOutputs } from './passes/rename-outputs.ts';
import type { GradientRule, GradientRules, RuleContext } from './rules/rule.ts';
import { gradientRules, withoutGradient } from './rules/table.ts';

/** What to differentiate: a scalar value by float inputs or initializers of the graph. */
export interface DifferentiateRequest {
  readonly loss: string;
  readonly parameters: readonly string[];
  /** Rules in addition to, or instead of, the table's. */
  readonly rules?: GradientRules;
}

/** The output that holds a parameter's gradient. */
export const gradientName = (parameter: string): string => `gradient:${parameter}`;

const isFloat = (type: string): boolean => type === 'float32' || type === 'float64';

function checkRequest(model: Model, { loss, parameters }: DifferentiateRequest): void {
  const bad = (message: string): never => {
    throw new AutodiffError(message, { code: 'bad-request', loss, parameters });
  };
  if (!model.graph.nodes.some((node) => node.outputs.includes(loss)))
    bad(`loss ${loss}: expected a value that a node gives`);
  const given = new Map(
    [...model.graph.inputs, ...model.graph.initializers].map(({ name, type }) => [name, type]),
  );
  for (const parameter of parameters) {
    const type = given.get(parameter);
    if (type === undefined || !isFloat(type))
      bad(`parameter ${parameter}: expected a float input or initializer, got ${type ?? 'no such value'}`);
  }
  if (new Set(parameters).size !== parameters.length) bad('parameters: expected each name once');
}

/** Values through which some parameter reaches further. */
function dependentValues(
  nodes: readonly Node[],
  parameters: readonly string[],
  backward: Backward,
): ReadonlySet<string> {
  const dependent = new Set(parameters);
  for (const node of nodes) {
    if (withoutGradient.has(node.operator) || !node.inputs.some((input) => dependent.has(input))) continue;
    for (const output of node.outputs)
      if (output !== '' && isFloat(backward.typeOf(output))) dependent.add(output);
  }
  return dependent;
}

/** total + gradient; a matrix product adds to the total while it is computed. */
function addInto(backward: Backward, total: string, gradient: string): string {
  const producer = backward.producerOf(gradient);
  if (producer?.operator === 'Gemm' && producer.inputs.length === 2)
    return backward.op('Gemm', [...producer.inputs, total], producer.attributes);
  return backward.op('Add', [total, gradient]);
}

const ruleOf = (node: Node, rules: GradientRules): GradientRule | undefined => {
  const ours = node.domain === '' || node.domain === microsoft;
  return ours && Object.hasOwn(rules, node.operator) ? rules[node.operator] : undefined;
};

/**
 * Throws `no-rule` for the node nearest to the loss that lies between a parameter and the loss and has no rule,
 * before any rule is asked.
 */
function requireRules(
  nodes: readonly Node[],
  loss: string,
  wanted: ReadonlySet<string>,
  rules: GradientRules,
): void {
  const readers = new Map<string, Node | undefined>([[loss, undefined]]);
  const readOutput = (node: Node): string | undefined =>
    node.outputs.find((output) => readers.has(output) && wanted.has(output));
  for (const node of nodes.toReversed()) {
    if (readOutput(node) === undefined) continue;
    if (!ruleOf(node, rules)) {
      const path: string[] = [];
      let next: Node | undefined = node;
      while (next) {
        path.push(`${next.operator} ${next.name}`);
        next = readers.get(readOutput(next) as string);
      }
      path.push(loss);
      throw new AutodiffError(
        `operator ${node.operator} (node ${node.name}) has no gradient rule; it lies on the path ${path.join(' → ')}`,
        { code: 'no-rule', operator: node.operator, node: node.name, path },
      );
    }
    for (const input of node.inputs) if (!readers.has(input)) readers.set(input, node);
  }
}

/** Gradients found so far: the contributions to each value. */
class Gradients {
  readonly #contributions = new Map<string, string[]>();
  readonly #backward: Backward;

  constructor(backward: Backward) {
    this.#backward = backward;
  }

  add(value: string, gradient: string): void {
    const list = this.#contributions.get(value);
    if (list) list.push(gradient);
    else this.#contributions.set(value, [gradient]);
  }

  /** The sum of all contributions, if there are any. */
  take(value: string): string | undefined {
    const list = this.#contributions.get(value);
    if (!list) return undefined;
    const sum = list.reduce((total, gradient) => addInto(this.#backward, total, gradient));
    this.#contributions.set(value, [sum]);
    return sum;
  }
}

function ruleContext(
  node: Node,
  gradients: readonly (string | undefined)[],
  backward: Backward,
  wanted: ReadonlySet<string>,
): RuleContext {
  const firstWanted = gradients.find((gradient) => gradient !== undefined) as string;
  return {
    node,
    gradient: gradients[0] ?? firstWanted,
    gradients,
    backward,
    op: backward.op,
    number: (value) => backward.number(value, node.inputs[0] ?? ''),
    input: (index) => node.inputs[index] ?? '',
    output: (index) => node.outputs[index] ?? '',
    needs: (index) => wanted.has(node.inputs[index] ?? ''),
    undo: (gradient, index) =>
      undoBroadcast(backward, gradient, backward.shapeOf(node.outputs[0] ?? ''), node.inputs[index] ?? ''),
  };
}

function visit(
  node: Node,
  backward: Backward,
  gradients: Gradients,
  wanted: ReadonlySet<string>,
  rules: GradientRules,
): void {
  const byOutput = node.outputs.map((output) => (wanted.has(output) ? gradients.take(output) : undefined));
  if (byOutput.every((gradient) => gradient === undefined)) return;
  const rule = ruleOf(node, rules);
  if (!rule) return;
  const byInput = rule(ruleContext(node, byOutput, backward, wanted));
  node.inputs.forEach((input, index) => {
    const gradient = byInput[index];
    if (gradient !== undefined && wanted.has(input)) gradients.add(input, gradient);
  });
}

/**
 * The same graph plus its backward graph: outputs `loss` and, in the order asked for, `gradient:<parameter>` of each
 * parameter's shape. Values of the forward graph that the gradients do not need are left out, other outputs too.
 *
 * Throws `AutodiffError`: `no-rule` names operator, node and the path to the loss; `no-path` a parameter that the
 * loss does not depend on; `unknown-shape` a value whose broadcasting cannot be told; `bad-request`.
 */
export function differentiate(model: Model, request: DifferentiateRequest): Model {
  checkRequest(model, request);
  const { loss, parameters } = request;
  const rules = request.rules ? { ...gradientRules, ...request.rules } : gradientRules;
  const forward = exposeStatistics(pruneModel(model, [loss]));
  const backward = createBackward(forward);
  const wanted = dependentValues(forward.graph.nodes, parameters, backward);
  requireRules(forward.graph.nodes, loss, wanted, rules);
  const gradients = new Gradients(backward);
  const rank = backward.shapeOf(loss).length;
  if (rank !== 0)
    throw new AutodiffError(`loss ${loss}: expected a scalar, got shape [${backward.shapeOf(loss)}]`, {
      code: 'bad-request',
      loss,
    });
  gradients.add(loss, backward.number(1, loss));
  for (const node of forward.graph.nodes.toReversed()) visit(node, backward, gradients, wanted, rules);
  const named = parameters.map((parameter): [string, string] => {
    const gradient = gradients.take(parameter);
    if (gradient === undefined)
      throw new AutodiffError(`parameter ${parameter}: the loss ${loss} does not depend on it`, {
        code: 'no-path',
        parameter,
        loss,
      });
    return [gradientName(parameter), gradient];
  });
  const shapes = new Map(
    parameters.map((parameter) => [gradientName(parameter), backward.shapeOf(parameter)]),
  );
  const whole = backward.graph.model();
  return renameOutputs(whole, loss, named, shapes);
}
