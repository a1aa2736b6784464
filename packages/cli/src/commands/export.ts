import type { Command } from 'commander';
import { withJson, withStore } from './options.ts';

interface ExportCommandOptions {
  readonly store: string;
  readonly json: boolean;
  readonly merge: boolean;
}

export function addExport(program: Command): void {
  withJson(withStore(program.command('export')))
    .argument('[file]', 'where to write', 'model.onnx')
    .description('write the common model as an ONNX file that any onnxruntime runs')
    .option('--merge', 'make adapters (--train lora) part of the weights beside them', false)
    .addHelpText(
      'after',
      `
Example:
  murmur export model.onnx --store my-run
  murmur generate --model model.onnx --prompt 'Once'

Stop the peer first: its folder belongs to one process at a time.`,
    )
    .action(async (file: string, options: ExportCommandOptions) => {
      const { openOffline } = await import('@murmuration/peer');
      const offline = await openOffline({ directory: options.store });
      try {
        await offline.engine.exportOnnx(file, { merge: options.merge });
        console.log(options.json ? JSON.stringify({ file }) : `wrote ${file}`);
      } finally {
        await offline.close();
      }
    });
}
