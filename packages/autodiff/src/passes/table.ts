import type { Model } from '@murmuration/onnx';
import { lowerings } from '../lowerings/table.ts';
import { checkpointActivations } from './checkpoint-activations.ts';
import { dropSteps } from './drop-steps.ts';
import { exposeStatistics } from './expose-statistics.ts';
import { exposeSteps } from './expose-steps.ts';
import { flattenRows } from './flatten-rows.ts';
import { foldScales } from './fold-scales.ts';
import { hoistInvariants } from './hoist-invariants.ts';
import { insideScans } from './inside-scans.ts';
import { lowerOperators } from './lower-operators.ts';
import { lowerTraining } from './lower-training.ts';
import { mergeEqualNodes } from './merge-equal-nodes.ts';
import { mergeTransposes } from './merge-transposes.ts';
import { orderNodes } from './order-nodes.ts';
import { recognizeOperators } from './recognize-operators.ts';
import { recomputeCheap } from './recompute-cheap.ts';
import { scaleRowsLast } from './scale-rows-last.ts';

/** Rewrites a model into one that computes the same; the parameters are the values by which it is differentiated. */
export type Pass = (model: Model, parameters: readonly string[]) => Model;

const lower: Pass = (model, parameters) => lowerOperators(model, parameters, lowerings);

/**
 * Run in this order on the forward graph, which is simplified and in the newest operator set, before gradient rules
 * see it: they put fused operators in the place of what exporters write for them, replace operators by others that have
 * rules, or make nodes give what their gradients need.
 */
export const loweringPasses: readonly Pass[] = [
  recognizeOperators,
  mergeTransposes,
  foldScales,
  flattenRows,
  lower,
  exposeStatistics,
  insideScans((body, values) => exposeStatistics(lower(body, values))),
  hoistInvariants,
  exposeSteps,
];

/** Run in this order on the whole training graph: they replace several nodes by fewer. */
export const fusingPasses: readonly Pass[] = [dropSteps, lowerTraining, mergeEqualNodes, scaleRowsLast];

/** Run last: they decide what is held for the backward part, what is computed again, and when. */
export const schedulingPasses = {
  everything: [orderNodes],
  costly: [recomputeCheap, orderNodes],
  cuts: [checkpointActivations, recomputeCheap, orderNodes],
} as const satisfies Readonly<Record<string, readonly Pass[]>>;
