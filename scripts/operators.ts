/**
 * Which operators can be trained through. Prints the README's table; with `--write` puts it into the README; with
 * `--json` runs ONNX's official models too and prints one line:
 * `{"rules", "noGradient", "unsupported": [names], "conformanceRun", "conformanceEqual", "gradientsChecked"}`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runConformance } from '../packages/autodiff/test/conformance/summary.ts';
import {
  countOperators,
  operatorTable,
  withOperatorTable,
} from '../packages/autodiff/test/operators/table.ts';

const readme = new URL('../packages/autodiff/README.md', import.meta.url);
const { values } = parseArgs({ options: { json: { type: 'boolean' }, write: { type: 'boolean' } } });

if (values.write) writeFileSync(readme, withOperatorTable(readFileSync(readme, 'utf8')));
if (values.json) console.log(JSON.stringify({ ...countOperators(), ...(await runConformance()) }));
else if (!values.write) console.log(operatorTable());
