import { float, int } from '@murmuration/onnx';
import { tensor } from '../run-model.ts';
import { image, weight } from './image-inputs.ts';
import type { CaseInput, RuleCase } from './rule-case.ts';

const running: readonly CaseInput[] = [
  { constant: tensor([3], [0.1, -0.2, 0.3]) },
  { constant: tensor([3], [0.5, 1.5, 2]) },
];
const training = { training_mode: int(1) };

export const batchNormalizationCases: readonly RuleCase[] = [
  ...[
    [4, 3],
    [2, 3, 4],
    [2, 3, 2, 4],
    [2, 3, 2, 2, 3],
  ].flatMap((shape): readonly RuleCase[] => [
    {
      operator: 'BatchNormalization',
      inputs: [image(shape), weight(3), weight(3), weight(3), { shape: [3], range: 'positive', fixed: [0] }],
    },
    {
      operator: 'BatchNormalization',
      inputs: [image(shape), weight(3), weight(3), ...running],
      attributes: training,
      note: 'training',
    },
  ]),
  {
    operator: 'BatchNormalization',
    inputs: [image([3, 3, 2]), weight(3), weight(3), ...running],
    attributes: { ...training, epsilon: float(0.3) },
    note: 'training, epsilon',
  },
  { operator: 'InstanceNormalization', inputs: [image([2, 3, 5]), weight(3), weight(3)] },
  {
    operator: 'InstanceNormalization',
    inputs: [image([2, 2, 3, 2]), weight(2), weight(2)],
    attributes: { epsilon: float(0.2) },
  },
  {
    operator: 'GroupNormalization',
    inputs: [image([2, 4, 5]), weight(4), weight(4)],
    attributes: { num_groups: int(2) },
  },
  {
    operator: 'GroupNormalization',
    inputs: [image([2, 6, 2, 2]), weight(6), weight(6)],
    attributes: { num_groups: int(1) },
  },
  {
    operator: 'LRN',
    inputs: [image([2, 5, 3, 2])],
    attributes: { size: int(3), alpha: float(0.7) },
    onlyStatic: true,
  },
  {
    operator: 'LRN',
    inputs: [image([1, 6, 2, 2])],
    attributes: { size: int(5), alpha: float(0.9), beta: float(0.6), bias: float(1.5) },
    onlyStatic: true,
  },
];
