import type { Model, Node, ParameterDeclaration, Tensor } from '@murmuration/onnx';
import { statisticsOf } from './trainable.ts';

/** Operators that hand a product's result on as it is, or with a bias. */
const passing: ReadonlySet<string> = new Set([
  'Add',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
  'Flatten',
  'Transpose',
  'Cast',
]);

/** Weights of the last product before each value. */
function outputLayers(model: Model, values: readonly string[]): ReadonlySet<string> {
  const producers = new Map(
    model.graph.nodes.flatMap((node): [string, Node][] => node.outputs.map((name) => [name, node])),
  );
  const layers = new Set<string>();
  const waiting = [...values];
  const seen = new Set(values);
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    const node = producers.get(value);
    if (!node) layers.add(value);
    const next =
      node &&
      (passing.has(node.operator)
        ? node.inputs
        : ['MatMul', 'Gemm'].includes(node.operator)
          ? node.inputs.slice(1, 2)
          : []);
    for (const input of next ?? [])
      if (!seen.has(input)) {
        seen.add(input);
        waiting.push(input);
      }
  }
  return layers;
}

const lookedUp = (model: Model): ReadonlySet<string> =>
  new Set(
    model.graph.nodes.flatMap(({ operator, inputs }) =>
      operator === 'Gather' && inputs[0] ? [inputs[0]] : [],
    ),
  );

/**
 * How the chosen weights, and the running statistics beside them, train; in the order of the graph. Matrices decay,
 * tables that are looked up do not; those and the layers that give `outputs` are no hidden layers.
 */
export function declareWeights(
  model: Model,
  weights: readonly Tensor[],
  outputs: readonly string[],
): readonly ParameterDeclaration[] {
  const chosen = new Set(weights);
  const statistics = new Map(statisticsOf(model).map((statistic) => [statistic.name, statistic]));
  const tables = lookedUp(model);
  const layers = outputLayers(model, outputs);
  return model.graph.initializers.flatMap((tensor): readonly ParameterDeclaration[] => {
    const { name, shape } = tensor;
    const statistic = statistics.get(name);
    const given = { name, shape, initial: { kind: 'given' } } as const;
    if (statistic)
      return [{ ...given, decays: false, update: { kind: 'average', momentum: statistic.momentum } }];
    if (!chosen.has(tensor)) return [];
    const border = shape.length === 2 && (tables.has(name) || layers.has(name));
    return [{ ...given, decays: shape.length > 1 && !tables.has(name), ...(border && { hidden: false }) }];
  });
}
