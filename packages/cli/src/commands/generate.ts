import type { Command } from 'commander';
import { decimalNumber, wholeNumber, withJson, withStore } from './options.ts';

interface GenerateOptions {
  readonly store: string;
  readonly json: boolean;
  readonly model?: string;
  readonly prompt: string;
  readonly bytes: number;
  readonly temperature: number;
  readonly seed: string;
}

export function addGenerate(program: Command): void {
  withJson(withStore(program.command('generate')))
    .description('let the common model continue a prompt')
    .option('--model <file>', 'an exported ONNX file, instead of the folder of a peer')
    .option('--prompt <text>', 'text to continue', '')
    .option('--bytes <count>', 'bytes to write', wholeNumber(1, 65_536), 200)
    .option('--temperature <value>', '0 takes the likeliest byte', decimalNumber(0, 10), 0.8)
    .option('--seed <text>', 'same seed, same text', 'murmuration')
    .action(async (options: GenerateOptions) => {
      const text = await generate(options);
      console.log(options.json ? JSON.stringify({ prompt: options.prompt, text }) : options.prompt + text);
    });
}

async function generate({
  model,
  store,
  prompt,
  bytes,
  temperature,
  seed,
}: GenerateOptions): Promise<string> {
  if (model) {
    const { generateFromFile } = await import('@murmuration/engine');
    return generateFromFile(model, prompt, { bytes, temperature, seed });
  }
  const { openOffline } = await import('@murmuration/peer');
  const offline = await openOffline({ directory: store });
  try {
    return await offline.engine.generate(prompt, { bytes, temperature, seed });
  } finally {
    await offline.close();
  }
}
