/**
 * Operators that read images between pixels. Until opset 10 the position in the image was the output's index divided
 * by the scale, rounded down when the image grew and up when it shrank (onnxruntime's reading of an operator that
 * left it open); opset 11 gave these choices names.
 */
import { type Node, text, textOf } from '../model.ts';
import { type Change, type ChangeContext, refuse, withAttributes, withInput } from './change.ts';

const upsample: Change = {
  since: 9,
  apply: (node, context) => {
    const scales = node.attributes.scales;
    return scales?.kind === 'floats'
      ? withInput(withAttributes(node, ['scales']), 1, context.float32s(scales.value))
      : node;
  },
};

const isUpsample: Change = { since: 10, apply: (node) => ({ ...node, operator: 'Resize' }) };

/** Scales that are no constant are taken to be at least 1. */
function nearestMode(node: Node, context: ChangeContext): string {
  const scales = context.constantOf(node.inputs[1] ?? '');
  const values = scales ? Array.from(scales.data as ArrayLike<number>) : [];
  if (values.every((scale) => scale >= 1)) return 'floor';
  if (values.every((scale) => scale <= 1)) return 'ceil';
  return refuse(node, `scales that all grow or all shrink the image, got [${values}]`);
}

const namedPositions: Change = {
  since: 11,
  apply: (node, context) => {
    const [x = '', scales = ''] = node.inputs;
    const nearest = textOf(node, 'mode', 'nearest') === 'nearest';
    return withAttributes({ ...node, inputs: [x, '', scales] }, [], {
      coordinate_transformation_mode: text('asymmetric'),
      ...(nearest ? { nearest_mode: text(nearestMode(node, context)) } : {}),
    });
  },
};

/** (x + 0.5) / scale rounded down is (x + 0.5) / scale − 0.5 rounded to the nearest, halves up. */
function withoutTensorflowPositions(node: Node): Node {
  if (textOf(node, 'coordinate_transformation_mode', 'half_pixel') !== 'tf_half_pixel_for_nn') return node;
  const mode = textOf(node, 'mode', 'nearest');
  const rounding = textOf(node, 'nearest_mode', 'round_prefer_floor');
  if (mode !== 'nearest' || rounding !== 'floor')
    refuse(node, `tf_half_pixel_for_nn with nearest pixels rounded down, got ${mode}, ${rounding}`);
  return withAttributes(node, [], {
    coordinate_transformation_mode: text('half_pixel'),
    nearest_mode: text('round_prefer_ceil'),
  });
}

const onlyNeededInputs: Change = {
  since: 13,
  apply: (node) => {
    const changed = withoutTensorflowPositions(node);
    const [x = '', roi = '', scales = '', sizes = ''] = changed.inputs;
    const crops = textOf(changed, 'coordinate_transformation_mode', 'half_pixel') === 'tf_crop_and_resize';
    const inputs = [x, crops ? roi : '', sizes === '' ? scales : '', ...(sizes === '' ? [] : [sizes])];
    return { ...changed, inputs };
  },
};

const gridModes: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' };

const gridSample: Change = {
  since: 20,
  apply: (node) => {
    const mode = textOf(node, 'mode', 'bilinear');
    return withAttributes(node, [], { mode: text(gridModes[mode] ?? mode) });
  },
};

const roiAlign: Change = {
  since: 16,
  apply: (node) => withAttributes(node, [], { coordinate_transformation_mode: text('output_half_pixel') }),
};

/** Operators that resample, by name. */
export const resamplingChanges: Readonly<Record<string, readonly Change[]>> = {
  Upsample: [upsample, isUpsample],
  Resize: [namedPositions, onlyNeededInputs],
  GridSample: [gridSample],
  RoiAlign: [roiAlign],
};
