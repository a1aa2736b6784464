import type { Command } from 'commander';
import { withJson, withStore } from './options.ts';

export function addExport(program: Command): void {
  withJson(withStore(program.command('export')))
    .argument('[file]', 'where to write', 'model.onnx')
    .description('write the common model as an ONNX file (tokens → logits) that any onnxruntime runs')
    .addHelpText(
      'after',
      `
Example:
  murmur export model.onnx --store my-run
  murmur generate --model model.onnx --prompt 'Once'

Stop the peer first: its folder belongs to one process at a time.`,
    )
    .action(async (file: string, options: { store: string; json: boolean }) => {
      const { openOffline } = await import('@murmuration/peer');
      const offline = await openOffline({ directory: options.store });
      try {
        await offline.engine.exportOnnx(file);
        console.log(options.json ? JSON.stringify({ file }) : `wrote ${file}`);
      } finally {
        await offline.close();
      }
    });
}
