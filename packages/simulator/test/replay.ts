/** Runs one scenario, given as JSON, and prints its outcome. */
import { calm, type Scenario, simulate } from '@murmuration/simulator';

const changes = JSON.parse(process.argv[2] ?? '{}') as Partial<Scenario>;
console.log(JSON.stringify(simulate({ ...calm, ...changes }), null, 2));
