import { floatOf } from '../model.ts';
import { type Change, refuse, withAttributes, withInput } from './change.ts';
import { movedAttributes } from './moved-attributes.ts';
import { normalizationChanges } from './normalization.ts';
import { resamplingChanges } from './resampling.ts';

/** The mask had the type of the data. */
const floatMask: Change = {
  since: 10,
  apply: (node, context) => {
    const [y = '', mask = ''] = node.outputs;
    if (mask === '') return node;
    const truth = context.fresh(`${mask}:bool`);
    context.after('CastLike', [truth, node.inputs[0] ?? ''], mask);
    return { ...node, outputs: [y, truth] };
  },
};

/** The ratio stays with the node, so that whoever trains can set its third input. */
const ratioInput: Change = {
  since: 12,
  apply: (node, context) =>
    withInput(withAttributes(node, ['ratio']), 1, context.float32s([floatOf(node, 'ratio', 0.5)], [])),
};

const scatter: Change = { since: 11, apply: (node) => ({ ...node, operator: 'ScatterElements' }) };

const batchedScan: Change = {
  since: 9,
  apply: (node) => refuse(node, 'the Scan of opset 9 or later, got the batched one of opset 8'),
};

/**
 * What opsets 8 to 23 changed about operators of ONNX's own domain, oldest first. Operators and versions that are not
 * here kept the meaning of what was valid before: they gained element types, or settings whose default is the old
 * behaviour.
 */
export const changes: Readonly<Record<string, readonly Change[]>> = {
  ...movedAttributes,
  ...resamplingChanges,
  ...normalizationChanges,
  Dropout: [floatMask, ratioInput],
  Scatter: [scatter],
  Scan: [batchedScan],
};
