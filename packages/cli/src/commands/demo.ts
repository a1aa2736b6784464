import { type Command, Option } from 'commander';
import { languages, training } from '../demo/defaults.ts';
import { createDemoView } from '../demo/demo-view.ts';
import { describeResult, resultOf } from '../demo/result.ts';
import { exitCodes } from '../exit-codes.ts';
import { stopOnSignals } from '../signals.ts';
import { wholeNumber, withJson } from './options.ts';

interface DemoCommandOptions {
  readonly json: boolean;
  readonly steps: number;
  readonly solo: 'one' | 'all' | 'none';
  readonly directory: string;
}

export function addDemo(program: Command): void {
  withJson(program.command('demo'))
    .description(
      'four peers on this machine, each with text in its own language, teach one model; about five minutes',
    )
    .option('--steps <count>', 'inner steps of each peer', wholeNumber(20, 1_000_000), training.steps)
    .addOption(
      new Option('--solo <who>', 'train peers alone to compare with')
        .choices(['one', 'all', 'none'])
        .default('one'),
    )
    .option('--directory <folder>', 'where text, stores and the model go', 'murmuration-demo')
    .addHelpText(
      'after',
      `
What happens: four processes find each other through one address and the DHT, train, exchange compressed deltas,
certify every round. One is killed and restarted; a fifth joins late. The exit code is 1 if the state roots differ.`,
    )
    .action(runDemo);
}

function soloLanguages(solo: DemoCommandOptions['solo']): readonly string[] {
  if (solo === 'one') return languages.founders.slice(0, 1);
  return solo === 'all' ? [...languages.founders, languages.late] : [];
}

async function runDemo(options: DemoCommandOptions): Promise<void> {
  const solo = soloLanguages(options.solo);
  const { directory, steps, json } = options;
  const view = createDemoView({ quiet: json });
  const abort = new AbortController();
  const stopped = Promise.withResolvers<void>();
  const signals = stopOnSignals(
    () => {
      abort.abort();
      return stopped.promise;
    },
    json ? undefined : view.onEvent,
  );
  try {
    const [{ Demo }, { measure }] = await Promise.all([
      import('../demo/demo.ts'),
      import('../demo/measure.ts'),
    ]);
    const run = await new Demo({ directory, steps, signal: abort.signal }, view).run();
    const all = [...languages.founders, languages.late];
    const measured = await measure(run, {
      directory,
      solo,
      languages: all,
      onProgress: (text) => view.onProgress(text),
    });
    const result = resultOf(run, measured);
    view.close();
    console.log(json ? JSON.stringify(result) : `\n${describeResult(result, solo)}`);
    process.exitCode = result.equal ? exitCodes.success : exitCodes.failure;
  } finally {
    view.close();
    stopped.resolve();
    signals.dispose();
  }
}
