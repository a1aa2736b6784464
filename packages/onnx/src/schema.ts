/**
 * The part of ONNX's protobuf schema (onnx.proto, IR version 13) that this package reads and writes, as one table:
 * message → field number → name and type. Fields that carry meaning we cannot hold are listed as `refused`, so that
 * a model that uses them is an error and not silently another model. All other fields are skipped: comments, stored
 * shapes, and what other programs add for themselves (training information, annotations of quantization).
 */

/** Wire types of fields that are no messages; a `name` is a string of bounded length. */
export type ScalarType = 'int64' | 'int32' | 'uint64' | 'float' | 'double' | 'string' | 'name' | 'bytes';

/** One field of a message. */
export interface Field {
  readonly name: string;
  readonly type: ScalarType | { readonly message: string } | 'refused';
  readonly repeated: boolean;
}

const one = (name: string, type: Field['type']): Field => ({ name, type, repeated: false });
const many = (name: string, type: Field['type']): Field => ({ name, type, repeated: true });
const refused = (name: string): Field => ({ name, type: 'refused', repeated: false });
const message = (name: string) => ({ message: name });

/** Message → field number → field. */
export const schema: Readonly<Record<string, Readonly<Record<number, Field>>>> = {
  Model: {
    1: one('irVersion', 'int64'),
    2: one('producerName', 'string'),
    7: one('graph', message('Graph')),
    8: many('opsetImport', message('OperatorSetId')),
    14: many('metadataProps', message('StringStringEntry')),
    25: many('functions', message('Function')),
  },
  OperatorSetId: { 1: one('domain', 'name'), 2: one('version', 'int64') },
  StringStringEntry: { 1: one('key', 'name'), 2: one('value', 'string') },
  Graph: {
    1: many('node', message('Node')),
    2: one('name', 'name'),
    5: many('initializer', message('Tensor')),
    11: many('input', message('ValueInfo')),
    12: many('output', message('ValueInfo')),
    15: many('sparseInitializer', message('SparseTensor')),
  },
  Node: {
    1: many('input', 'name'),
    2: many('output', 'name'),
    3: one('name', 'name'),
    4: one('opType', 'name'),
    5: many('attribute', message('Attribute')),
    7: one('domain', 'name'),
    8: one('overload', 'name'),
  },
  Function: {
    1: one('name', 'name'),
    4: many('input', 'name'),
    5: many('output', 'name'),
    6: many('attribute', 'name'),
    7: many('node', message('Node')),
    9: many('opsetImport', message('OperatorSetId')),
    10: one('domain', 'name'),
    11: many('attributeProto', message('Attribute')),
    13: one('overload', 'name'),
  },
  Attribute: {
    1: one('name', 'name'),
    2: one('f', 'float'),
    3: one('i', 'int64'),
    4: one('s', 'bytes'),
    5: one('t', message('Tensor')),
    6: one('g', message('Graph')),
    7: many('floats', 'float'),
    8: many('ints', 'int64'),
    9: many('strings', 'bytes'),
    10: refused('tensors'),
    11: refused('graphs'),
    14: refused('tp'),
    15: refused('type_protos'),
    20: one('type', 'int32'),
    21: one('refAttrName', 'name'),
    22: one('sparseTensor', message('SparseTensor')),
    23: refused('sparse_tensors'),
  },
  Tensor: {
    1: many('dims', 'int64'),
    2: one('dataType', 'int32'),
    3: refused('segment'),
    4: many('floatData', 'float'),
    5: many('int32Data', 'int32'),
    6: refused('string_data'),
    7: many('int64Data', 'int64'),
    8: one('name', 'name'),
    9: one('rawData', 'bytes'),
    10: many('doubleData', 'double'),
    11: many('uint64Data', 'uint64'),
    13: many('externalData', message('StringStringEntry')),
    14: one('dataLocation', 'int32'),
  },
  SparseTensor: {
    1: one('values', message('Tensor')),
    2: one('indices', message('Tensor')),
    3: many('dims', 'int64'),
  },
  ValueInfo: { 1: one('name', 'name'), 2: one('type', message('Type')) },
  Type: {
    1: one('tensorType', message('TensorType')),
    4: refused('sequence_type'),
    5: refused('map_type'),
    8: refused('sparse_tensor_type'),
    9: refused('optional_type'),
  },
  TensorType: { 1: one('elemType', 'int32'), 2: one('shape', message('TensorShape')) },
  TensorShape: { 1: many('dim', message('Dimension')) },
  Dimension: { 1: one('dimValue', 'int64'), 2: one('dimParam', 'name') },
};

/** `AttributeProto.AttributeType`. */
export const attributeKinds = {
  1: 'float',
  2: 'int',
  3: 'text',
  4: 'tensor',
  5: 'graph',
  6: 'floats',
  7: 'ints',
  8: 'texts',
} as const;
