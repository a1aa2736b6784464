/** The process in which a file is inspected. It answers once. */
import { prepareTraining } from '@murmuration/autodiff';
import { checkModel } from '@murmuration/onnx';
import type { FileInspection, InspectionAnswer } from './inspect-file.ts';
import { inspectModel } from './inspect-model.ts';
import { toErrorMessage } from './messages.ts';
import { readModelFile } from './model-file.ts';

async function answer({ path, request, ...options }: FileInspection): Promise<InspectionAnswer> {
  try {
    const model = readModelFile(path);
    checkModel(model);
    return { kind: 'found', found: await inspectModel(prepareTraining(model, request), options) };
  } catch (error) {
    return { kind: 'failed', error: toErrorMessage(error) };
  }
}

process.on('disconnect', () => process.exit(0));
// An interrupt in a terminal reaches the whole group; the parent decides when this process ends.
process.on('SIGINT', () => undefined);
process.once('message', async (inspection: FileInspection) => {
  process.send?.(await answer(inspection), () => process.exit(0));
});
