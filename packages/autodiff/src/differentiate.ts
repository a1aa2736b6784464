/**
 * From a forward graph to a training graph. The model is first brought into one canonical form (only what the loss
 * needs, newest operator set, constants folded, lowered), so that each gradient rule sees its operator in one way of
 * writing; `reverse.ts` then appends the backward graph, and passes fuse what belongs together.
 */
import {
  allNames,
  type Model,
  pruneModel,
  simplifyModel,
  type Tensor,
  type ValueInfo,
  withRunnableOpset,
} from '@murmuration/onnx';
import { createBackward } from './backward.ts';
import { AutodiffError } from './errors.ts';
import { type Gradient, renameOutputs } from './passes/rename-outputs.ts';
import { fusingPasses, loweringPasses, type Pass, schedulingPasses } from './passes/table.ts';
import { appendGradients } from './reverse.ts';
import type { GradientRules } from './rules/rule.ts';
import { gradientRules, withoutGradient } from './rules/table.ts';

/** What to differentiate: a scalar value by float inputs or initializers of the graph. */
export interface DifferentiateRequest {
  readonly loss: string;
  readonly parameters: readonly string[];
  /** Rules in addition to, or instead of, the table's. */
  readonly rules?: GradientRules;
  /**
   * What the backward part keeps of the forward part, and does not compute again: `everything`; what is `costly` to
   * compute again (default); or what crosses `cuts` between segments (activation checkpointing).
   */
  readonly hold?: 'everything' | 'costly' | 'cuts';
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
      bad(
        `parameter ${parameter}: expected an input or initializer of float32 or float64, ` +
          `got ${type ?? 'no such value'}`,
      );
  }
  if (new Set(parameters).size !== parameters.length) bad('parameters: expected each name once');
  const names = allNames(model.graph);
  const taken = parameters.map(gradientName).find((name) => names.has(name));
  if (taken !== undefined)
    bad(`expected the name ${taken} to be free for a gradient, got a value of that name`);
}

const runPasses = (model: Model, passes: readonly Pass[], parameters: readonly string[]): Model =>
  passes.reduce((result, pass) => pass(result, parameters), model);

/** The canonical form of what the loss needs; parameters with data are inputs while constants are folded. */
function canonical(model: Model, { loss, parameters }: DifferentiateRequest): Model {
  const names = new Set(parameters);
  const declared = new Set(model.graph.inputs.map(({ name }) => name));
  const withData = model.graph.initializers.filter(({ name }) => names.has(name));
  const asInputs = withData
    .filter(({ name }) => !declared.has(name))
    .map(({ name, type, shape }): ValueInfo => ({ name, type, shape }));
  const opened: Model = {
    ...model,
    graph: {
      ...model.graph,
      inputs: [...model.graph.inputs, ...asInputs],
      initializers: model.graph.initializers.filter(({ name }) => !names.has(name)),
    },
  };
  const lowered = runPasses(simplifyModel(pruneModel(opened, [loss])), loweringPasses, parameters);
  return closed(lowered, withData, asInputs);
}

/** Puts the data of parameters back. */
function closed(model: Model, withData: readonly Tensor[], asInputs: readonly ValueInfo[]): Model {
  const added = new Set(asInputs.map(({ name }) => name));
  const { graph } = model;
  return {
    ...model,
    graph: {
      ...graph,
      inputs: graph.inputs.filter(({ name }) => !added.has(name)),
      initializers: [...graph.initializers, ...withData],
    },
  };
}

/**
 * The same graph plus its backward graph: outputs `loss` and, in the order asked for, `gradient:<parameter>` of each
 * parameter's shape. Values of the forward graph that the gradients do not need are left out, other outputs too.
 *
 * Throws `AutodiffError`: `no-rule` names operator, node and the path to the loss; `no-path` a parameter that the
 * loss does not depend on; `unknown-shape` a value whose rank is needed and not known; `unsupported` a node whose
 * settings or types have no gradient here; `bad-request`.
 */
export function differentiate(model: Model, request: DifferentiateRequest): Model {
  checkRequest(model, request);
  const { loss, parameters } = request;
  const rules = request.rules ? { ...gradientRules, ...request.rules } : gradientRules;
  const forward = canonical(model, request);
  const backward = createBackward(forward);
  const lossShape = backward.knownShape(loss) ?? [];
  if (lossShape.length !== 0)
    throw new AutodiffError(`loss ${loss}: expected a scalar, got shape [${lossShape}]`, {
      code: 'bad-request',
      loss,
    });
  const gradients = appendGradients(backward, {
    nodes: forward.graph.nodes,
    seeds: new Map([[loss, backward.number(1, loss)]]),
    sources: parameters,
    table: { rules, withoutGradient },
  });
  const named = parameters.map((parameter): Gradient => {
    const value = gradients.get(parameter);
    if (value === undefined)
      throw new AutodiffError(`parameter ${parameter}: the loss ${loss} does not depend on it`, {
        code: 'no-path',
        parameter,
        loss,
      });
    const [type, shape] = [backward.typeOf(parameter), backward.shapeOf(parameter)];
    return { value, output: { name: gradientName(parameter), type, shape } };
  });
  const whole = renameOutputs(backward.graph.model(), loss, named);
  const fused = runPasses(whole, fusingPasses, parameters);
  return withRunnableOpset(runPasses(fused, schedulingPasses[request.hold ?? 'costly'], parameters));
}
