/** One operator at one point: what the tests of gradient rules are lists of. */
import { createRandom } from '@murmuration/base';
import {
  type Attributes,
  createGraphBuilder,
  type Dimension,
  inferShapes,
  int,
  type Model,
  type Tensor,
} from '@murmuration/onnx';
import { type CheckedGradient, checkGradients } from '../../src/index.ts';
import { runModel, tensor } from '../run-model.ts';

/** How a float input's values are drawn. */
export type Range = 'around-zero' | 'positive' | 'away-from-zero' | 'distinct';

export type CaseInput =
  /** A float input by which the gradient is checked. */
  | { readonly shape: readonly number[]; readonly range?: Range }
  /** Constant data: indices, axes, shapes, conditions. */
  | { readonly constant: Tensor }
  /** An optional input that is left out. */
  | 'absent';

export interface RuleCase {
  readonly operator: string;
  readonly inputs: readonly CaseInput[];
  readonly attributes?: Attributes;
  readonly outputs?: number;
  /** Says what is special about this case. */
  readonly note?: string;
  /** Do not repeat the case with symbolic dimensions: its output's shape is unknown then. */
  readonly onlyStatic?: boolean;
}

export const integers = (values: readonly number[], shape = [values.length]): CaseInput => ({
  constant: tensor(shape, values, 'int64'),
});

const draws: Readonly<Record<Range, (unit: number, index: number) => number>> = {
  'around-zero': (unit) => 3 * unit - 1.5,
  positive: (unit) => 0.4 + 1.5 * unit,
  'away-from-zero': (unit, index) => (index % 2 === 0 ? 1 : -1) * (0.3 + unit),
  distinct: (unit, index) => ((index * 7) % 11) * 0.25 - 1 + 0.05 * unit,
};

function draw(shape: readonly number[], range: Range, seed: string): Tensor {
  const random = createRandom(seed);
  const length = shape.reduce((product, size) => product * size, 1);
  return tensor(
    shape,
    Array.from({ length }, (_, index) => draws[range](random.unit(), index)),
  );
}

const symbols = (shape: readonly number[]): readonly Dimension[] =>
  shape.map((size) => (size === 1 ? 1 : `n${size}`));

interface Built {
  readonly model: Model;
  readonly feeds: Record<string, Tensor>;
  readonly parameters: readonly string[];
}

/** loss = Σ outputs · weights, with the weights as inputs of the outputs' shapes. */
export function build(rule: RuleCase, shapes: 'static' | 'symbolic'): Built {
  const builder = createGraphBuilder('case');
  const feeds: Record<string, Tensor> = {};
  const parameters: string[] = [];
  const declare = (shape: readonly number[]): readonly Dimension[] =>
    shapes === 'static' ? shape : symbols(shape);
  const names = rule.inputs.map((input, index) => {
    if (input === 'absent') return '';
    const name = `input${index}`;
    if ('constant' in input) return builder.initializer({ ...input.constant, name });
    parameters.push(name);
    feeds[name] = draw(input.shape, input.range ?? 'around-zero', name);
    return builder.input(name, 'float32', declare(input.shape));
  });
  const stems = Array.from({ length: rule.outputs ?? 1 }, () => 'y');
  const outputs = builder.nodes(rule.operator, names, stems, rule.attributes);
  if (shapes === 'static') {
    const sums = outputs.map((output, index) => {
      const shape = inferShapes(builder.model()).get(output)?.shape as readonly number[];
      feeds[`weight${index}`] = draw(shape, 'away-from-zero', `weight${index}`);
      const weight = builder.input(`weight${index}`, 'float32', shape);
      return builder.node('ReduceSum', [builder.node('Mul', [output, weight])], { keepdims: int(0) });
    });
    builder.output(
      sums.reduce((total, sum) => builder.node('Add', [total, sum])),
      'float32',
      [],
    );
  } else {
    const still = build(rule, 'static');
    Object.assign(feeds, still.feeds);
    const known = inferShapes(builder.model());
    const sums = outputs.map((output, index) => {
      const weight = builder.input(`weight${index}`, 'float32', known.get(output)?.shape ?? []);
      return builder.node('ReduceSum', [builder.node('Mul', [output, weight])], { keepdims: int(0) });
    });
    builder.output(
      sums.reduce((total, sum) => builder.node('Add', [total, sum])),
      'float32',
      [],
    );
  }
  return { model: builder.model(), feeds, parameters };
}

/** Checks a case's gradients against central differences. */
export async function checkCase(
  rule: RuleCase,
  shapes: 'static' | 'symbolic',
): Promise<readonly CheckedGradient[]> {
  const { model, feeds, parameters } = build(rule, shapes);
  const loss = model.graph.outputs[0]?.name ?? '';
  return checkGradients(model, feeds, { loss, parameters, run: runModel, step: 5e-3, tolerance: 5e-3 });
}

/** A case's name in a test report. */
export const caseName = ({ operator, inputs, note }: RuleCase): string => {
  const shapes = inputs.map((input) =>
    input === 'absent' ? '–' : `[${'constant' in input ? input.constant.shape : input.shape}]`,
  );
  return `${operator} ${shapes.join(' ')}${note ? ` (${note})` : ''}`;
};
