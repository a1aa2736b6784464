import { FactError } from '@murmuration/base';

/** What is wrong with bytes that should be an ONNX model, or with a model that should be valid. */
export class OnnxError extends FactError<
  | 'too-long'
  | 'malformed'
  | 'unsupported'
  | 'unsafe-location'
  | 'invalid-model'
  | 'bad-config'
  | 'bad-parameters'
> {}
