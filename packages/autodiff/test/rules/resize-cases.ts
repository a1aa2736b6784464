import { type Attributes, float, int, ints, microsoft, text } from '@murmuration/onnx';
import { tensor } from '../run-model.ts';
import { type CaseInput, integers, type RuleCase } from './rule-case.ts';

/** An image of which all sizes may be symbols. */
const anyImage = (...shape: readonly number[]): CaseInput => ({ shape });

/** An image of which batch and channels may be symbols. */
const image = (...shape: readonly number[]): CaseInput => ({
  shape,
  fixed: shape.flatMap((_, axis) => (axis > 1 ? [axis] : [])),
});
const scales = (...values: readonly number[]): CaseInput => ({ constant: tensor([values.length], values) });

const coordinateModes = [
  'half_pixel',
  'pytorch_half_pixel',
  'half_pixel_symmetric',
  'align_corners',
  'asymmetric',
];

const settings = (mode: string, coordinates: string, more: Attributes = {}): Attributes => ({
  mode: text(mode),
  coordinate_transformation_mode: text(coordinates),
  ...more,
});

/** Larger, smaller, and by scales that are no whole numbers. */
const byMode: readonly RuleCase[] = ['nearest', 'linear', 'cubic'].flatMap((mode) => {
  const input = mode === 'cubic' ? image : anyImage;
  return coordinateModes.flatMap((coordinates): readonly RuleCase[] => [
    {
      operator: 'Resize',
      inputs: [input(2, 3, 4, 5), 'absent', scales(1, 1, 1.6, 2)],
      attributes: settings(mode, coordinates),
      note: `${mode}, ${coordinates}, larger`,
    },
    {
      operator: 'Resize',
      inputs: [input(1, 2, 7, 6), 'absent', 'absent', integers([3, 4])],
      attributes: settings(mode, coordinates, { axes: ints([2, 3]) }),
      note: `${mode}, ${coordinates}, smaller`,
    },
  ]);
});

/** Every pixel a whole number of times, also where the sizes are symbols; and an axis in the middle. */
const repeated: readonly RuleCase[] = [
  ...coordinateModes.map((coordinates) => ({
    operator: 'Resize',
    inputs: [anyImage(2, 3, 4, 5), 'absent', scales(1, 1, 2, 3)] as const,
    attributes: settings('nearest', coordinates, {
      nearest_mode: text(coordinates === 'asymmetric' ? 'floor' : 'round_prefer_floor'),
    }),
    note: `${coordinates}, 2 and 3 times`,
  })),
  {
    operator: 'Resize',
    inputs: [anyImage(2, 3, 4), 'absent', scales(1, 1, 2)],
    attributes: settings('nearest', 'asymmetric', { nearest_mode: text('floor') }),
    note: 'a row, 2 times',
  },
  {
    operator: 'Resize',
    inputs: [anyImage(2, 3, 4, 5), 'absent', scales(1, 2, 1, 1)],
    attributes: settings('nearest', 'asymmetric', { nearest_mode: text('floor') }),
    note: 'channels, 2 times',
  },
];

const roundings: readonly RuleCase[] = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'].map(
  (rounding) => ({
    operator: 'Resize',
    inputs: [anyImage(1, 2, 4, 6), 'absent', scales(1, 1, 2, 0.5)],
    attributes: settings('nearest', 'half_pixel', { nearest_mode: text(rounding) }),
    note: rounding,
  }),
);

/** Points that fall inside, between pixels, and outside of the image. */
const grid: CaseInput = { shape: [2, 3, 2, 2], fixed: [3] };

const sampling: readonly RuleCase[] = [
  ...['zeros', 'border', 'reflection'].flatMap((padding) =>
    [0, 1].map(
      (aligned): RuleCase => ({
        operator: 'GridSample',
        inputs: [{ shape: [2, 3, 5, 7] }, grid],
        attributes: { mode: text('linear'), padding_mode: text(padding), align_corners: int(aligned) },
        note: `${padding}, ${aligned === 1 ? 'aligned' : 'not aligned'}`,
      }),
    ),
  ),
  ...['zeros', 'border', 'reflection'].map(
    (padding): RuleCase => ({
      operator: 'GridSample',
      inputs: [
        { shape: [1, 2, 5, 7] },
        { constant: tensor([1, 2, 2, 2], [0.1, -0.73, 1.4, 0.33, -0.2, -1.9, -0.81, 0.95]) },
      ],
      attributes: { mode: text('nearest'), padding_mode: text(padding) },
      note: `nearest, ${padding}`,
    }),
  ),
  ...['zeros', 'border', 'reflection'].map(
    (padding, index): RuleCase => ({
      operator: 'GridSample',
      inputs: [{ shape: [1, 2, 5, 7] }, { shape: [1, 2, 3, 2], fixed: [3] }],
      attributes: { mode: text('cubic'), padding_mode: text(padding), align_corners: int(index % 2) },
      note: `cubic, ${padding}`,
    }),
  ),
  {
    operator: 'GridSample',
    inputs: [{ shape: [1, 2, 3, 4, 5] }, { shape: [1, 2, 2, 2, 3], fixed: [4] }],
    attributes: { mode: text('linear') },
    note: 'volume',
  },
  {
    operator: 'GridSample',
    domain: microsoft,
    inputs: [{ shape: [2, 3, 5, 7] }, grid],
    attributes: { mode: text('bilinear') },
  },
  { operator: 'AffineGrid', inputs: [{ shape: [2, 2, 3], fixed: [1, 2] }, integers([2, 3, 4, 5])] },
  {
    operator: 'AffineGrid',
    inputs: [{ shape: [2, 3, 4], fixed: [1, 2] }, integers([2, 1, 2, 3, 4])],
    attributes: { align_corners: int(1) },
  },
];

/** Resizing, and moving channels into pixels and back. */
export const resizeCases: readonly RuleCase[] = [
  ...byMode,
  ...repeated,
  ...roundings,
  ...sampling,
  {
    operator: 'Resize',
    inputs: [image(2, 3, 3, 4), 'absent', scales(1, 1, 2, 3)],
    attributes: settings('nearest', 'asymmetric', { nearest_mode: text('floor') }),
    note: 'repeated pixels',
  },
  {
    operator: 'Resize',
    inputs: [image(1, 2, 5, 4), 'absent', 'absent', integers([8, 3])],
    attributes: settings('cubic', 'half_pixel', {
      axes: ints([2, 3]),
      exclude_outside: int(1),
      cubic_coeff_a: float(-0.5),
    }),
    note: 'cubic without outside',
  },
  ...['linear', 'cubic'].map(
    (mode): RuleCase => ({
      operator: 'Resize',
      inputs: [image(1, 2, 8, 7), 'absent', 'absent', integers([3, 4])],
      attributes: settings(mode, 'half_pixel', {
        axes: ints([2, 3]),
        antialias: int(1),
        exclude_outside: int(1),
      }),
      note: `${mode}, smaller without aliasing`,
    }),
  ),
  {
    operator: 'Resize',
    inputs: [image(1, 2, 2, 3, 4), 'absent', scales(1, 1, 2, 2, 0.5)],
    attributes: settings('linear', 'half_pixel'),
    note: 'volume',
  },
  {
    operator: 'Resize',
    inputs: [image(1, 2, 5), 'absent', scales(1, 1, 2)],
    attributes: settings('nearest', 'asymmetric'),
    note: 'sequence',
  },
  { operator: 'DepthToSpace', inputs: [image(2, 8, 2, 3)], attributes: { blocksize: int(2) } },
  {
    operator: 'DepthToSpace',
    inputs: [{ shape: [1, 8, 2, 3], fixed: [1] }],
    attributes: { blocksize: int(2), mode: text('CRD') },
  },
  { operator: 'SpaceToDepth', inputs: [image(2, 3, 4, 6)], attributes: { blocksize: int(2) } },
];
