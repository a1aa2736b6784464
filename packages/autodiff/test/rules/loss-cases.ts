import { type Attributes, int, text } from '@murmuration/onnx';
import { tensor } from '../run-model.ts';
import { type CaseInput, integers, type RuleCase, x } from './rule-case.ts';

interface Variant {
  readonly note: string;
  readonly attributes?: Attributes;
  readonly weights?: boolean;
}

const variants: readonly Variant[] = ['mean', 'sum', 'none'].flatMap((reduction): readonly Variant[] => {
  const attributes = { reduction: text(reduction) };
  return [
    { note: reduction, attributes },
    { note: `${reduction}, weights`, attributes, weights: true },
    { note: `${reduction}, ignore 2`, attributes: { ...attributes, ignore_index: int(2) } },
    {
      note: `${reduction}, ignore -100, weights`,
      attributes: { ...attributes, ignore_index: int(-100) },
      weights: true,
    },
  ];
});

const weights = (classes: number): CaseInput => ({
  constant: tensor(
    [classes],
    Array.from({ length: classes }, (_, index) => 0.5 + 0.3 * index),
  ),
});

const labels = (values: readonly number[], shape: readonly number[], ignored: boolean): CaseInput =>
  integers(ignored ? values.with(1, -100) : values, shape);

/** Plain scores, and scores of each position. */
function scored(operator: string, variant: Variant, outputs: number): readonly RuleCase[] {
  const { attributes = {}, note } = variant;
  const ignored = note.includes('-100');
  const withWeights = (classes: number): readonly CaseInput[] => (variant.weights ? [weights(classes)] : []);
  return [
    {
      operator,
      inputs: [x(4, 5), labels([0, 4, 2, 2], [4], ignored), ...withWeights(5)],
      attributes,
      outputs,
      note,
    },
    {
      operator,
      inputs: [x(2, 3, 4), labels([0, 2, 1, 1, 0, 2, 2, 1], [2, 4], ignored), ...withWeights(3)],
      attributes,
      outputs,
      note: `${note}, positions`,
    },
  ];
}

/** Operators that end in a loss. */
export const lossCases: readonly RuleCase[] = variants.flatMap((variant) => [
  ...scored('SoftmaxCrossEntropyLoss', variant, 1),
  ...scored('NegativeLogLikelihoodLoss', variant, 1),
  ...scored('SoftmaxCrossEntropyLoss', { ...variant, note: `${variant.note}, logarithms` }, 2),
]);
