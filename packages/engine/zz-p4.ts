import { InferenceSession, Tensor } from 'onnxruntime-node';
import { readdirSync } from 'node:fs';
import { writeModel } from '@murmuration/onnx';
import { loadFixture } from '../autodiff/test/models/fixture.ts';
