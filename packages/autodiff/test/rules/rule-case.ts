/** One operator at one point: what the tests of gradient rules are lists of. */
import { createRandom } from '@murmuration/base';
import {
  type Attributes,
  createGraphBuilder,
  type Dimension,
  type ElementType,
  inferShapes,
  int,
  type Model,
  type Tensor,
} from '@murmuration/onnx';
import { type CheckedGradient, checkGradients } from '../../src/index.ts';
import { runModel, tensor } from '../run-model.ts';

/** How a float input's values are drawn. */
export type Range =
  | 'around-zero'
  | 'positive'
  | 'away-from-zero'
  | 'distinct'
  | 'inside-unit'
  | 'above-one'
  | 'wide';

export type CaseInput =
  /** A float input by which the gradient is checked. */
  | {
      readonly shape: readonly number[];
      readonly range?: Range;
      /** Axes that stay numbers when the case is repeated with symbolic dimensions; all others but 1 are symbols. */
      readonly fixed?: readonly number[];
    }
  /** Constant data: indices, axes, shapes, conditions. Floats take the type of the case. */
  | { readonly constant: Tensor }
  /** An optional input that is left out. */
  | 'absent';

export interface RuleCase {
  readonly operator: string;
  /** Where the operator is not ONNX's own. */
  readonly domain?: string;
  readonly inputs: readonly CaseInput[];
  readonly attributes?: Attributes;
  readonly outputs?: number;
  /** The shape of the output where data decide on it. */
  readonly outputShape?: readonly number[];
  /** Says what is special about this case. */
  readonly note?: string;
  /** Do not repeat the case with symbolic dimensions. */
  readonly onlyStatic?: boolean;
}

/** A float input. */
export const x = (...shape: readonly number[]): CaseInput => ({ shape });

/** A float input of which the values lie in a range. */
export const drawn = (range: Range, ...shape: readonly number[]): CaseInput => ({ shape, range });

export const integers = (
  values: readonly number[],
  shape: readonly number[] = [values.length],
): CaseInput => ({
  constant: tensor(shape, values, 'int64'),
});

/** A constant int64 without dimensions. */
export const integer = (value: number): CaseInput => integers([value], []);

/** A constant number without dimensions. */
export const constant = (value: number): CaseInput => ({ constant: tensor([], [value]) });

/** Constant truth values. */
export const truths = (values: readonly number[], shape: readonly number[] = [values.length]): CaseInput => ({
  constant: tensor(shape, values, 'bool'),
});

/** The case with a constant int64 input as int32; nothing where the input is no such constant. */
export function withNarrowInput(rule: RuleCase, index: number): readonly RuleCase[] {
  const input = rule.inputs[index];
  if (typeof input !== 'object' || !('constant' in input) || input.constant.type !== 'int64') return [];
  const { shape, data } = input.constant;
  const narrow = tensor(shape, Array.from(data as BigInt64Array, Number), 'int32');
  const note = rule.note ? `${rule.note}, int32` : 'int32';
  return [{ ...rule, inputs: rule.inputs.with(index, { constant: narrow }), note }];
}

const draws: Readonly<Record<Range, (unit: number, index: number) => number>> = {
  'around-zero': (unit) => 3 * unit - 1.5,
  positive: (unit) => 0.4 + 1.5 * unit,
  'away-from-zero': (unit, index) => (index % 2 === 0 ? 1 : -1) * (0.3 + unit),
  distinct: (unit, index) => ((index * 7) % 11) * 0.25 - 1 + 0.05 * unit,
  'inside-unit': (unit) => 1.6 * unit - 0.8,
  wide: (unit) => 10 * unit - 5,
  'above-one': (unit) => 1.3 + unit,
};

type FloatType = 'float32' | 'float64';

function draw(shape: readonly number[], range: Range, seed: string, type: FloatType): Tensor {
  const random = createRandom(seed);
  const length = shape.reduce((product, size) => product * size, 1);
  const values = Array.from({ length }, (_, index) => draws[range](random.unit(), index));
  return tensor(shape, values, type);
}

const converted = (given: Tensor, type: ElementType): Tensor =>
  given.type === 'float32' ? tensor(given.shape, given.data as Float32Array, type) : given;

/** How a case is repeated. */
export interface Variant {
  readonly shapes: 'static' | 'symbolic';
  readonly type?: FloatType;
}

const dimensionsOf = (shape: readonly number[], fixed: readonly number[] = []): readonly Dimension[] =>
  shape.map((size, axis) => (size === 1 || fixed.includes(axis) ? size : `n${size}`));

interface Built {
  readonly model: Model;
  readonly feeds: Record<string, Tensor>;
  readonly parameters: readonly string[];
}

const isFloat = (type: ElementType | undefined): boolean => type === 'float32' || type === 'float64';

/** loss = Σ outputs · weights, with the weights as inputs of the outputs' shapes, in opset 23. */
export function build(rule: RuleCase, { shapes, type = 'float32' }: Variant): Built {
  const builder = createGraphBuilder('case');
  const feeds: Record<string, Tensor> = {};
  const parameters: string[] = [];
  const names = rule.inputs.map((input, index) => {
    if (input === 'absent') return '';
    const name = `input${index}`;
    if ('constant' in input) return builder.initializer({ ...converted(input.constant, type), name });
    parameters.push(name);
    feeds[name] = draw(input.shape, input.range ?? 'around-zero', name, type);
    return builder.input(
      name,
      type,
      shapes === 'static' ? input.shape : dimensionsOf(input.shape, input.fixed),
    );
  });
  const stems = Array.from({ length: rule.outputs ?? 1 }, () => 'y');
  const outputs = builder.nodes(rule.operator, names, stems, rule.attributes, rule.domain);
  const known = inferShapes(builder.model());
  if (shapes === 'symbolic') Object.assign(feeds, build(rule, { shapes: 'static', type }).feeds);
  const sums = outputs.flatMap((output, index) => {
    const value = known.get(output);
    if (!isFloat(value?.type)) return [];
    const name = `weight${index}`;
    const shape = rule.outputShape ?? value?.shape ?? [];
    if (shapes === 'static') feeds[name] = draw(shape as readonly number[], 'away-from-zero', name, type);
    const product = builder.node('Mul', [output, builder.input(name, type, shape)]);
    return [builder.node('ReduceSum', [product], { keepdims: int(0) })];
  });
  builder.output(
    sums.reduce((total, sum) => builder.node('Add', [total, sum])),
    type,
    [],
  );
  const model = builder.model();
  return { model: { ...model, irVersion: 11, opsets: { ...model.opsets, '': 23 } }, feeds, parameters };
}

/** How far central differences are taken, and how close gradients must be: double precision allows much more. */
const strictness = {
  float32: { step: 5e-3, tolerance: 5e-3 },
  float64: { step: 1e-5, tolerance: 1e-7 },
} as const;

/** Checks a case's gradients against central differences. */
export async function checkCase(rule: RuleCase, variant: Variant): Promise<readonly CheckedGradient[]> {
  const { model, feeds, parameters } = build(rule, variant);
  const loss = model.graph.outputs[0]?.name ?? '';
  return checkGradients(model, feeds, {
    loss,
    parameters,
    run: runModel,
    ...strictness[variant.type ?? 'float32'],
  });
}

/** A case's name in a test report. */
export const caseName = ({ operator, inputs, note }: RuleCase): string => {
  const shapes = inputs.map((input) =>
    input === 'absent' ? '–' : `[${'constant' in input ? input.constant.shape : input.shape}]`,
  );
  return `${operator} ${shapes.join(' ')}${note ? ` (${note})` : ''}`;
};
