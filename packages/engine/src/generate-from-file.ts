import { readFileSync } from 'node:fs';
import { readModel } from '@murmuration/onnx';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { diskError, EngineError } from './errors.ts';
import { checkGrows, createGeneration, type GenerationOptions } from './generation.ts';
import { ownErrorsOnly } from './session.ts';

/** Metadata of an exported model: how many tokens it can look back. */
export const contextKey = 'murmuration.context';

/**
 * Continues a prompt with a model that `exportOnnx` wrote, in this process and with stock onnxruntime.
 * Throws `EngineError` `bad-graph` for a file that is no such model, `disk` for one that cannot be read.
 */
export async function generateFromFile(
  path: string,
  prompt: string,
  options: GenerationOptions,
): Promise<string> {
  const bytes = readBytes(path);
  const { context, session, input, output } = await openModel(path, bytes);
  const logits = async (tokens: BigInt64Array): Promise<Float32Array> => {
    const outputs = await session.run({ [input]: new Tensor('int64', tokens, [1, tokens.length]) });
    return (outputs[output] as Tensor).data as Float32Array;
  };
  const job = createGeneration({ logits, context }, prompt, options);
  while (!(await job.slice()));
  await session.release();
  return job.result();
}

function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw diskError(error, 'read the model', path);
  }
}

async function openModel(
  path: string,
  bytes: Uint8Array,
): Promise<{ context: number; session: InferenceSession; input: string; output: string }> {
  try {
    const { metadata, graph } = readModel(bytes);
    const context = Number(metadata[contextKey]);
    if (!Number.isSafeInteger(context) || context < 1) throw new Error(`it has no metadata ${contextKey}`);
    const session = await InferenceSession.create(bytes, { logSeverityLevel: ownErrorsOnly });
    const [input, ...others] = session.inputNames;
    const output = session.outputNames.includes('logits') ? 'logits' : session.outputNames[0];
    if (!input || others.length > 0 || !output)
      throw new Error(`its inputs are [${session.inputNames}], its outputs [${session.outputNames}]`);
    graph.inputs.forEach(checkGrows);
    return { context, session, input, output };
  } catch (cause) {
    throw new EngineError(
      `${path}: expected a model that \`murmur export\` wrote (tokens → logits): ${(cause as Error).message}`,
      { code: 'bad-graph', path },
      { cause },
    );
  }
}
